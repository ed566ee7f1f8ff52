# The table of contents stands in workflow/Snakefile: `snakemake -n` shows what a target needs, README.md how to start.
include: "workflow/Snakefile"


workflow.default_target = "all"  # an included file cannot choose it
