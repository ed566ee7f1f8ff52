# On the terminal a job is one line. Snakemake's log file, which it names at the end, holds all that it has to say.
import logging


class JobLines:
    """Formatter and filter of the terminal: a job is told once, when it begins."""

    def __init__(self, full):
        self.full, self.done = full, ""

    def filter(self, record):
        event = getattr(record, "event", None)
        if event == "progress":
            self.done = f"{record.done} of {record.total} done; "
        return event not in ("progress", "job_started", "job_finished") and record.msg != "Select jobs to execute..."

    def format(self, record):
        if getattr(record, "event", None) != "job_info":
            return self.full.format(record)
        wildcards = ", ".join(f"{name}={value}" for name, value in record.wildcards.items())
        return f"{self.done}{record.rule_name} {wildcards}".rstrip()


def one_line_a_job():
    for handler in logger.handlers:
        if isinstance(handler, logging.StreamHandler) and not isinstance(handler, logging.FileHandler):
            lines = JobLines(handler.formatter)
            handler.addFilter(lines)
            handler.setFormatter(lines)
