# The paper as a table of contents stands in workflow/Snakefile: `snakemake -n` shows what a target needs.
include: "workflow/Snakefile"
