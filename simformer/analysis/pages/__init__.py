"""Pages for a reader: results, splits, methods, audits."""
