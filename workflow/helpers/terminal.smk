# The terminal shows one line per job. Snakemake names its log file at the end, and that file holds everything else.
import logging


class JobLines:
    """Formatter and filter of the terminal: one line per job, when the job begins, and one when all are done.

    Snakemake says of every failed job that outputs marked `update` have no backup. They need none, since no job
    removes them: the line would stand below the error and hide it.
    """

    def __init__(self, full):
        self.full, self.done = full, ""

    def filter(self, record):
        event = getattr(record, "event", None)
        if event == "progress":
            self.done = f"{record.done} of {record.total} done"
            return record.done == record.total
        idle = record.msg == "Select jobs to execute..." or str(record.msg).startswith("Cannot restore ")
        return event not in ("job_started", "job_finished") and not idle

    def format(self, record):
        event = getattr(record, "event", None)
        if event == "progress":
            return self.done
        if event != "job_info":
            return self.full.format(record)
        wildcards = ", ".join(f"{name}={value}" for name, value in record.wildcards.items())
        return f"{self.done}{'; ' if self.done else ''}starting {record.rule_name} {wildcards}".rstrip()


def one_line_a_job():
    for handler in logger.handlers:
        if isinstance(handler, logging.StreamHandler) and not isinstance(handler, logging.FileHandler):
            lines = JobLines(handler.formatter)
            handler.addFilter(lines)
            handler.setFormatter(lines)
