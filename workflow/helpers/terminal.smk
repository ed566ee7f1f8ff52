# The terminal shows one line per job. Snakemake names its log file at the end, and that file holds everything else.
import logging


class JobLines:
    """Formatter and filter of the terminal: it prints one line per job, when the job begins."""

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
