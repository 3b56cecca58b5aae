"""Settings come from a file and from flags, and nothing else is taken."""

from pathlib import Path

import pytest

from bridge.__main__ import settings_from
from bridge.settings import Settings, SettingsError, from_file, host_and_port, shown_address, with_values


def test_flags_go_before_the_file(tmp_path: Path) -> None:
    path = tmp_path / "stage.toml"
    path.write_text('tempo = 98\nosc = "9100"\nbundles = ["tone"]\n')
    settings = settings_from(["--config", str(path), "--tempo", "133.5", "--no-play"])
    assert settings == Settings(tempo=133.5, osc="9100", bundles=("tone",), play=False)


def test_the_input_and_how_it_is_heard_are_settings() -> None:
    flags = ["--input", "scarlett", "--input-channels", "2,2", "--input-gain", "-3", "--input-monitor", "-12"]
    settings = settings_from([*flags, "--input-history-s", "60"])
    assert settings == Settings(
        input="scarlett", input_channels=(2, 2), input_gain=-3.0, input_monitor=-12.0, input_history_s=60.0
    )
    assert (Settings().input, Settings().input_monitor) == ("none", None)
    with pytest.raises(SettingsError, match="input_channels"):
        settings_from(["--input-channels", "left"])


def test_a_former_name_works_and_says_the_new_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert settings_from(["--heard-s", "60"]) == Settings(input_history_s=60.0)
    assert "heard_s is now called input_history_s" in capsys.readouterr().err


def test_several_bundles_may_follow_one_flag_or_several() -> None:
    assert settings_from(["--bundle", "a", "b", "--bundle", "c"]).bundles == ("a", "b", "c")


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"tempi": 120}, "tempi"),
        ({"tempo": "fast"}, "tempo"),
        ({"tempo": 5.0}, "tempo"),
        ({"seed": 1.5}, "seed"),
        ({"seed": True}, "seed"),
        ({"channels": [1]}, "channels"),
        ({"channels": [0, 1]}, "channels"),
        ({"input_channels": [1]}, "input_channels"),
        ({"input_gain": 30.0}, "input_gain"),
        ({"input_monitor": 3.0}, "input_monitor"),
        ({"input_history_s": 600.0}, "input_history_s"),
        ({"input_offset_ms": 900.0}, "input_offset_ms"),
        ({"osc": "nowhere"}, "osc"),
        ({"rate": 1}, "rate"),
    ],
)
def test_what_cannot_be_used_is_refused_by_name(values: dict[str, object], named: str) -> None:
    with pytest.raises(SettingsError, match=named):
        with_values(Settings(), values)


def test_a_file_that_is_not_toml_is_one_clear_line(tmp_path: Path) -> None:
    path = tmp_path / "bad.toml"
    path.write_bytes(b"\xff\xfe = [")
    with pytest.raises(SettingsError, match=r"bad\.toml"):
        from_file(path)
    with pytest.raises(SettingsError, match=r"none\.toml"):
        from_file(tmp_path / "none.toml")


def test_a_port_alone_listens_to_this_machine_only() -> None:
    assert host_and_port("9000") == ("127.0.0.1", 9000)
    assert host_and_port("0.0.0.0:8000") == ("0.0.0.0", 8000)


def test_an_ipv6_address_stands_in_brackets() -> None:
    assert host_and_port("[::1]:9000") == ("::1", 9000)
    assert shown_address(*host_and_port("[::1]:9000")) == "[::1]:9000"
    assert shown_address("127.0.0.1", 9000) == "127.0.0.1:9000"


def test_a_file_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    """Notepad writes one."""
    path = tmp_path / "stage.toml"
    path.write_bytes(b"\xef\xbb\xbftempo = 98\n")
    assert from_file(path).tempo == 98.0


def test_a_progression_that_cannot_be_read_stops_the_start() -> None:
    with pytest.raises(SettingsError, match="Hx"):
        settings_from(["--progression", "Am Hx"])
