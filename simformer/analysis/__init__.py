"""From metrics of many runs to the paper's tables and figures."""
