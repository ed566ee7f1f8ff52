"""A mistake on the command line is one line on stderr with what to type, and exit status 2."""

import pytest

from simformer.cli import main


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("statsu", "simformer: no such command 'statsu'; did you mean 'status'? Type `simformer --help`"),
        ("xyz", "simformer: no such command 'xyz'; type `simformer --help`"),
        ("", "simformer: missing: COMMAND; type `simformer --help`"),
        ("--verison", "simformer: no such option '--verison'; did you mean '--version'? Type `simformer --help`"),
        ("train --confg c.yaml", "simformer train: no such option '--confg'; did you mean '--config'? "
                                 "Type `simformer train --help`"),
        ("plan --stu config/demo.yaml", "simformer plan: no such option '--stu'; did you mean '--study'?"),
        ("plan --study=x --xyz=1", "simformer plan: no such option '--xyz'; type `simformer plan --help`"),
        ("doctor x", "simformer doctor: there is no place for 'x'; type `simformer doctor --help`"),
        ("doctor x.yaml", "there is no place for 'x.yaml'; is it meant as --study x.yaml? Type `simformer doctor"),
        ("import --images x", "simformer import: missing: --output; type `simformer import --help`"),
        ("train --threads", "simformer train: --threads: expected one argument; type"),
        ("train --threads many", "--threads: expected a whole number from 1 to 4096, found 'many'; type"),
        ("refine --kind pas", "--kind: expected one of psa, irn, found 'pas'; did you mean 'psa'? Type"),
        ("completion fish", "expected one of bash, zsh, found 'fish'; type `simformer completion --help`"),
        ("a\nb\x1b[1m", "simformer: no such command 'a b\N{REPLACEMENT CHARACTER}[1m'"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_line(given, says, capsys):
    with pytest.raises(SystemExit) as end:
        main(given.split(" ") if given else [])
    told = capsys.readouterr()
    assert end.value.code == 2
    assert told.out == ""
    assert told.err.startswith("error: ") and says in told.err
    assert told.err.count("\n") == 1 and told.err.endswith("\n")


def test_a_value_may_look_like_an_option_behind_an_equals_sign(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["import", "--images=none", "--mask-suffix=-mask", "--output=out"]) == 1
    assert "no such option" not in capsys.readouterr().err


def test_what_follows_two_dashes_is_no_option(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["show", "--", "--table.md"]) == 1
    assert "--table.md: no such table" in capsys.readouterr().err


def test_a_folder_is_no_table(tmp_path, capsys):
    assert main(["show", str(tmp_path)]) == 1
    assert capsys.readouterr().err == f"error: {tmp_path}: a folder; name a table; there is none in this folder\n"
    (tmp_path / "table1.md").touch()
    assert main(["show", str(tmp_path)]) == 1
    assert capsys.readouterr().err == f"error: {tmp_path}: a folder; name a table in it, e.g. {tmp_path}/table1.md\n"
