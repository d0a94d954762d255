"""The twenty questions: each command of the page is run as it stands there, and says what the page shows."""

from __future__ import annotations

import importlib.util
import re
import shlex
import shutil
from pathlib import Path

import attrs
import pytest

from carelink.cli.main import main
from carelink.model.moment import parse_instant
from carelink.testing.fakes import FakeClock

PAGE = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "twenty-questions.md"
MORNING = "2026-01-15T10:00:00+08:00"


def _home_builder():
    spec = importlib.util.spec_from_file_location("twenty_home", Path(__file__).with_name("twenty_home.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@attrs.frozen
class Shown:
    """A command of the page, the lines shown under it, and its exit code."""

    command: str
    lines: tuple[str, ...]
    code: int


def sections() -> dict[int, str]:
    """Text of each question."""
    found = re.split(r"^## (\d+)\. .*$", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {int(number): text for number, text in zip(found[1::2], found[2::2], strict=True)}


def shown(number: int) -> list[Shown]:
    """Commands of a question."""
    found = []
    for block in re.findall(r"^```console\n(.*?)^```$", sections()[number], re.MULTILINE | re.DOTALL):
        for part in block.split("$ ")[1:]:
            command, *lines = part.strip().splitlines()
            codes = [int(match[1]) for line in lines if (match := re.fullmatch(r"\(exit (\d)\)", line))]
            kept = tuple(line for line in lines if not line.startswith("(exit"))
            found.append(Shown(command, kept, codes[0] if codes else 0))
    return found


def plain(text: str) -> str:
    """Without the lines of tables, and with single blanks."""
    return " ".join(re.sub("[│┃]", " ", text).split())


def says(line: str, output: str) -> bool:
    """Whether some line of the output is this one; `…` stands for anything."""
    pattern = ".*".join(re.escape(plain(piece)) for piece in line.split("…"))
    return any(
        re.search(pattern.replace(r"\ .*", ".*").replace(r".*\ ", ".*"), plain(each)) for each in output.splitlines()
    )


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, FakeClock, str]:
    """The home, once."""
    clock, place = FakeClock(parse_instant(MORNING)), tmp_path_factory.mktemp("twenty") / "home"
    return place, clock, _home_builder().build(place, clock)


@pytest.fixture
def run(made, tmp_path, monkeypatch, capsys):
    """Run one command line in a folder with a copy of the home."""
    home, clock, key = made
    shutil.copytree(home, tmp_path / "carelink-data")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CARELINK_HOME", raising=False)
    monkeypatch.setattr("carelink.home.SystemClock", lambda: clock)
    monkeypatch.setenv("COLUMNS", "400")

    def one(command):
        words = [key if word == "KEY" else word for word in shlex.split(command)]
        assert words.pop(0) == "carelink"
        capsys.readouterr()
        code = main(words)
        seen = capsys.readouterr()
        return code, seen.out + seen.err

    return one


@pytest.fixture
def answers(run):
    """Run what the page shows for a question; the outputs. Every line that it shows must be there."""

    def of(number):
        outputs = []
        for each in shown(number):
            code, output = run(each.command)
            assert code == each.code, f"{each.command}: {output[-400:]}"
            missing = [line for line in each.lines if not says(line, output)]
            assert not missing, f"{each.command} does not say {missing}"
            assert each.lines, "a command without an answer"
            outputs.append(output)
        return outputs

    return of


def test_all_twenty_are_there() -> None:
    assert sorted(sections()) == list(range(1, 21))


def test_a_line_that_is_not_said_is_noticed() -> None:
    assert says("refuse WITHDRAWN: … end", "x\n  refuse  WITHDRAWN: it is the end\n")
    assert not says("refuse WITHDRAWN", "permit\nrefuse OPTED_OUT")
    assert not says("a … b", "a\nb"), "lines are not joined"


def test_1_why_sent(answers) -> None:
    (why,) = answers(1)
    assert "refuse" not in why


def test_2_why_refused(answers) -> None:
    (why,) = answers(2)
    rules = set(re.findall(r"refuse OPTED_OUT: .*?\[([A-Z0-9.]+):", why))
    assert rules == {"BASE.SUPPRESSION", "CN.CONS.24", "CN.CONS.29.STOP", "CN.ETRADE.16", "CN.MAIL.14", "CN.PIPL.15"}


def test_3_consent_as_it_stood(answers) -> None:
    then, today = answers(3)
    assert "withdrawn" not in then
    assert "withdrawn" in today


def test_4_withdrawn_while_it_waits(answers) -> None:
    (why,) = answers(4)
    assert "accepted" not in why, "nothing was handed over"


def test_5_marketing_refused_care_goes_on(answers) -> None:
    event, care = answers(5)
    assert event.startswith("REFUSE")
    assert "accepted" in care


def test_6_no_minor_in_marketing(answers, run) -> None:
    answers(6)
    adults = run("carelink audit list --purpose marketing --age 18+ --handed")[1]
    assert adults.startswith("1 decisions"), "the list does show marketing that was handed over"


def test_7_birthday(answers) -> None:
    (why,) = answers(7)
    assert re.search(r"age +18\+", why)


def test_8_no_law_says_20(answers) -> None:
    for pack in answers(8):
        hours = [line for line in pack.splitlines() if " quiet_hours " in line]
        assert hours
        assert not [line for line in hours if "authority law" in line]


def test_9_smuggled_claim(answers, run) -> None:
    (found,) = answers(9)
    assert "ABSOLUTE" not in found
    adopted = 'carelink policy adopt baseline cn hospital-default cn-advertising --actor "Ms Li"'
    assert run(adopted)[0] == 0
    forecast = "carelink preview --purpose marketing.event --template open-day --channel email --var day="
    assert "CLAIM_PROHIBITED" in run(forecast + "保证根·治")[1]
    assert "CLAIM_PROHIBITED" not in run(forecast + "Monday")[1]


def test_10_approved_sample_in_date(answers) -> None:
    answers(10)


def test_11_two_people(answers, run) -> None:
    answers(11)
    assert run('carelink content approve recheck --actor "Dr Other"')[0] == 0


def test_12_disclosures(answers) -> None:
    listed, _ = answers(12)
    assert listed.startswith("6 decisions about 6 patients; 6 handed")


def test_13_altered(answers, run, tmp_path) -> None:
    answers(13)
    (tile,) = (tmp_path / "export" / "tile" / "entries").glob("000.p/*")
    data = bytearray(tile.read_bytes())
    data[len(data) // 2] ^= 1
    tile.chmod(0o600)
    tile.write_bytes(data)
    code, output = run(shown(13)[-1].command)
    assert code == 3
    assert "VERIFIED" not in output.split()


def test_14_erasure(answers, run) -> None:
    answers(14)
    code, _ = run("carelink rights erase MRN-1008 --actor wu")  # by its identifier, nobody finds the person any more
    assert code != 0


def test_15_one_address_for_three(answers) -> None:
    first, over = answers(15)
    assert "accepted" in first
    assert "accepted" not in over


def test_16_wrong_person(answers) -> None:
    (why,) = answers(16)
    assert why.startswith("REFUSE")


def test_17_missing_fact(answers) -> None:
    why, _ = answers(17)
    assert why.startswith("REFUSE")


def test_18_before_and_after(answers, run) -> None:
    answers(18)
    code, output = run(shown(18)[-1].command.replace("--drop cn", "--policy cn"))
    assert code == 0
    assert "allowed 0 refusals" in plain(output)


def test_19_within_a_stretch_of_time(answers, run) -> None:
    answers(19)
    later = "carelink audit list --from 2026-01-16T00:00:00+08:00 --handed"
    assert run(later)[1].startswith("0 decisions")
    lines = run(shown(19)[0].command + " --json")[1].splitlines()
    assert len(lines) == 6
    assert "example.invalid" not in "".join(lines)


def test_20_not_checked(answers) -> None:
    (told,) = answers(20)
    for about in ("image", "guardian"):
        assert about in told.lower()
