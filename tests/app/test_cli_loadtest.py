"""The options of `agio loadtest`: the plan they make, and what is wrong with them."""

import argparse

import pytest

from app import cli
from app.cli_loadtest import read_goal, read_plan, take_loadtest_options
from app.loadtest.model import Plan


def read(*arguments: str) -> argparse.Namespace:
    """What these options say."""
    parser = argparse.ArgumentParser()
    take_loadtest_options(parser)
    return parser.parse_args(arguments)


def test_without_options_it_is_the_usual_plan() -> None:
    """One message in flight in one room."""
    assert Plan() == read_plan(read())


def test_every_option_is_in_the_plan() -> None:
    """Under its own name."""
    load = "--connections 9 --rooms 3 --payload 8 --rate 2.5 --processes 2 --ramp 4"
    time = "--duration 5 --warm-up 1 --drain 0 --late 0.5"
    where = "--topic r:{room} --event e --source 127.0.0.2 --source 127.0.0.3"
    given = read(*load.split(), *time.split(), *where.split(), "--join-params", '{"a": [1]}')
    expected = Plan(
        connections=9,
        rooms=3,
        payload_bytes=8,
        rate=2.5,
        window=None,
        processes=2,
        ramp=4.0,
        duration_s=5.0,
        warm_up_s=1.0,
        drain_s=0.0,
        late_s=0.5,
        topic="r:{room}",
        event="e",
        join_params={"a": [1]},
        sources=("127.0.0.2", "127.0.0.3"),
    )
    assert expected == read_plan(given)
    assert 7 == read_plan(read("--window", "7")).window


def test_headers_and_the_token_go_to_the_server() -> None:
    """As many headers as there are."""
    given = read("--header", "Origin: https://a", "--header", "X-Y:z", "--subprotocol")
    target = read_goal(given, "ws://a", "abc")
    assert (("Origin", "https://a"), ("X-Y", "z")) == target.headers[1:]
    assert "phoenix, base64url.bearer.phx.YWJj" == target.headers[0][1]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--connections", "0"], "'0' is not a number from 1 to"),
        (["--rate", "nan"], "'nan' is not a number from"),
        (["--rate", "1", "--window", "1"], "not allowed with argument"),
        (["--header", "Origin"], "is not like 'Origin: https://example.com'"),
        (["--join-params", "{"], "is no JSON"),
        (["--topic", ""], "'' is no name"),
        (["--report", "no/where.html"], "is no file in a folder that is there"),
        (["--report", "."], "is no file in a folder that is there"),
        (["--source", "localhost"], "'localhost' is no address"),
    ],
)
def test_what_is_no_option_is_told(
    arguments: list[str], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """With status 2, as all wrong arguments."""
    with pytest.raises(SystemExit) as caught:
        cli.main(["loadtest", *arguments])
    assert 2 == caught.value.code
    assert reason in capsys.readouterr().err
