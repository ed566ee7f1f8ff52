"""The sweep figure: what is drawn, by structure."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from simformer.analysis.figures.sweeps import draw_panel, draw_sweeps
from simformer.errors import UserError

VALUES = {"plain": 0.1, "low": 0.01, "high": 0.5}


@pytest.fixture
def results():
    return pd.DataFrame(
        [
            {"dataset": "toys", "split": "split1", "method": m, "metric": metric, "mean": v, "std": 1.0, "n": 3}
            for metric, shift in (("novel", 0), ("base", 40))
            for m, v in (("plain", 30 + shift), ("low", 10 + shift), ("high", 20 + shift))
        ]
    )


def test_points_are_in_the_order_of_their_values_and_the_default_is_dotted(results):
    figure, axis = plt.subplots()
    draw_panel(axis, results, VALUES, "plain")
    lines = {container.get_label(): container.lines[0].get_xydata().tolist() for container in axis.containers}
    assert lines == {
        "novel": [[0.01, 10], [0.1, 30], [0.5, 20]],
        "base": [[0.01, 50], [0.1, 70], [0.5, 60]],
    }
    dotted = [line for line in axis.lines if line.get_linestyle() == ":"]
    assert [line.get_xdata()[0] for line in dotted] == [0.1]
    assert axis.get_xscale() == "log" and all(container.has_yerr for container in axis.containers)
    plt.close(figure)


def test_one_seed_has_no_error_bars(results):
    figure, axis = plt.subplots()
    draw_panel(axis, results.assign(n=1, std=float("nan")), VALUES, "plain")
    assert not any(container.has_yerr for container in axis.containers)
    plt.close(figure)


def test_the_figure_is_written_as_pdf_and_png(results, tmp_path):
    results.to_csv(tmp_path / "fig6.csv", index=False)
    panels = {"toys": {"split1": {"loss.alpha": VALUES, "loss.gamma": {"plain": 0.1, "low": 0.2}}}}
    draw_sweeps(
        tmp_path / "fig6.csv", {"title": "Fig. 6", "reference": "plain", "panels": panels}, tmp_path / "fig6.pdf"
    )
    assert (tmp_path / "fig6.pdf").read_bytes().startswith(b"%PDF")
    assert len(np.unique(np.array(Image.open(tmp_path / "fig6.png").convert("L")))) > 20


def test_a_table_without_a_method_of_the_sweep_is_refused(results, tmp_path):
    results[results["method"] != "low"].to_csv(tmp_path / "fig6.csv", index=False)
    spec = {"title": "Fig. 6", "reference": "plain", "panels": {"toys": {"split1": {"loss.alpha": VALUES}}}}
    with pytest.raises(
        UserError, match=r"fig6\.csv: cut off, or of another study: no line of 'low' on toys split1; give"
    ):
        draw_sweeps(tmp_path / "fig6.csv", spec, tmp_path / "fig6.pdf")
