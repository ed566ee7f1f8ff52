"""What a user sees of a run: one line a job on the terminal, everything in the log; the plan in a dry run alone."""

TARGET = "results/tiny/scenes/split1/simformer/seed0/config.yaml"
JOB = "starting resolve_config dataset=scenes, split=split1, method=simformer, seed=0"


def test_one_line_a_job_without_any_option(new_pipeline):
    planned = new_pipeline.snakemake("--dry-run", "--", TARGET)
    assert "5 trainings, 0 done, 5 to do" in planned.stderr and "rule resolve_config:" in planned.stdout
    done = new_pipeline.snakemake("--notemp", TARGET)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stderr.splitlines()
    assert lines.count(JOB) == 1 and lines[lines.index(JOB) + 1] == "1 of 1 done"
    assert not any(word in done.stderr for word in ("Finished jobid", "steps (", "trainings", "reason:"))
    (log,) = [path for path in new_pipeline.folder.glob(".snakemake/log/*.log") if "Finished" in path.read_text()]
    assert "localrule resolve_config:" in log.read_text() and "1 of 1 steps (100%) done" in log.read_text()
