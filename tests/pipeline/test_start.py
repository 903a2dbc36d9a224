import sys

from pipeline.start import main


class Interrupted:
    """A finder of modules that meets with Ctrl-C."""

    def find_spec(self, name, path=None, target=None):
        if name == "pipeline.command_line":
            raise KeyboardInterrupt


def test_ctrl_c_while_modules_are_read_is_one_line(monkeypatch, capsys):
    monkeypatch.delitem(sys.modules, "pipeline.command_line", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Interrupted(), *sys.meta_path])
    assert main() == 130
    assert capsys.readouterr().err == "reelcast: stopped before it began\n"


def test_a_command_runs_with_the_arguments_of_the_process(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["reelcast", "--version"])
    assert main() == 0
    assert capsys.readouterr().out.startswith("reelcast ")
