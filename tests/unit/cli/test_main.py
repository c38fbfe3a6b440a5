"""The command line: options before and after the verb, one line per error, JSON for programs."""

import json

import pytest


def test_an_unknown_verb_names_the_nearest(leveret):
    answer = leveret("wroker")

    assert answer.code == 2
    assert answer.err == "Error: no verb named 'wroker'; did you mean worker? (see leveret --help)\n"


def test_an_unknown_option_names_the_nearest(leveret):
    answer = leveret("worker", "--concurency", "2")

    assert answer.code == 2
    assert "--concurrency" in answer.err
    assert answer.err.count("\n") == 1


def test_without_a_verb_help_is_shown(leveret):
    assert "  worker   Start a worker" in leveret().out
    assert "redrive" in leveret("dead").out


def test_help_lists_every_verb_without_importing_them(leveret):
    answer = leveret("--help")

    assert answer.code == 0
    for verb in ("worker", "call", "result", "status", "queues", "purge", "dead", "config", "report", "bench", "demo"):
        assert f"  {verb} " in answer.out


@pytest.mark.parametrize("place", ["before", "after"])
def test_the_app_may_stand_before_or_after_the_verb(leveret, module, place):
    name = module()
    words = ("-A", name, "queues") if place == "before" else ("queues", "-A", name)

    assert leveret(*words).code == 0


def test_the_later_of_two_apps_wins(leveret, module):
    assert leveret("-A", "nonsense", "queues", "--app", module()).code == 0


def test_an_error_of_the_user_s_is_one_line_and_exit_code_1(leveret, project):
    answer = leveret("queues", "-b", "sqlit:///x.db")

    assert answer.code == 1
    assert answer.err.startswith("Error: no broker named 'sqlit'; did you mean 'sqlite'?")
    assert answer.err.count("\n") == 1


def test_a_broker_that_is_not_here_yet_says_so(leveret, project):
    answer = leveret("-b", "postgresql://localhost", "status")

    assert answer.code == 1
    assert answer.err.startswith("Error: no broker named 'postgresql': it comes with a later version")


def test_a_broker_alone_is_enough_to_look_at_it(leveret, project):
    answer = leveret("queues", "-b", f"sqlite:///{project}/some.db")

    assert (answer.code, answer.out) == (0, "no queues\n")


def test_call_sends_words_as_json_else_text_and_keywords(leveret, module):
    name = module("@app.task(name='many')\ndef many(*args, **kwargs): ...\n")

    sent = leveret("call", "-A", name, "many", "1", "two", '"3"', "[4]", "key=5", "word=x=y", "--json")
    queues = leveret("queues", "-A", name, "--json")

    assert sent.code == 0
    assert set(json.loads(sent.out)) == {"id"}
    assert json.loads(queues.out)[0]["ready"] == 1


def test_call_takes_celery_s_json_options(leveret, module):
    assert leveret("call", "-A", module(), "add", "-a", "[1]", "-k", '{"y": 2}', "--countdown", "60").code == 0


@pytest.mark.parametrize(
    ("words", "error", "code"),
    [
        (("add", "-a", "{}"), "-a/--args must be a list in JSON", 2),
        (("add", "-k", "nonsense"), "-k/--kwargs is not JSON", 2),
        (("add", "1", "--eta", "tomorrow"), "--eta tomorrow: expected a moment like", 2),
        (("add",), "missing a required argument: 'x'", 1),
        (("ad", "1"), "no task named 'ad' in this app; did you mean add?", 1),
        (("add", "1", "--priority", "300"), "300", 2),
    ],
)
def test_a_wrong_call_is_refused_before_it_is_sent(leveret, module, words, error, code):
    name = module()
    answer = leveret("call", "-A", name, *words)

    assert (answer.code, error in answer.err, answer.err.count("\n")) == (code, True, 1)
    assert json.loads(leveret("queues", "-A", name, "--json").out) == []


def test_an_unregistered_task_can_be_sent_on_purpose(leveret, module):
    assert leveret("call", "-A", module(), "elsewhere", "1", "--unregistered").code == 0


def test_a_result_nobody_knows_is_pending(leveret, module):
    answer = leveret("result", "-A", module(), "some-id", "--json")

    assert (answer.code, json.loads(answer.out)["state"]) == (0, "PENDING")


def test_waiting_for_a_result_ends_in_time(leveret, module):
    answer = leveret("call", "-A", module(), "add", "1", "--wait", "--timeout", "0.05")

    assert answer.code == 1
    assert "is PENDING after 0.05 s" in answer.err


def test_purge_asks_first_unless_forced(leveret, module, monkeypatch):
    name = module()
    leveret("call", "-A", name, "add", "1")
    asked = []
    monkeypatch.setattr("click.termui.visible_prompt_func", lambda prompt="": asked.append(prompt) or "n")

    refused = leveret("purge", "-A", name)
    assert refused.code == 130
    assert "Forget 1 messages in default" in asked[0] + refused.out

    assert json.loads(leveret("purge", "-A", name, "-f", "--json").out) == {"purged": 1, "queues": ["default"]}


def test_purge_leaves_what_is_excluded(leveret, module):
    name = module("app.conf.task_queues = {'a': {}, 'default': {}}\n")

    purged = leveret("purge", "-A", name, "-f", "-X", "default", "--json")

    assert json.loads(purged.out)["queues"] == ["a"]


def test_status_without_a_node_is_exit_code_1_and_names_the_path(leveret, module, project):
    answer = leveret("status", "-A", module())

    assert answer.code == 1
    assert str(project / ".leveret" / "queue.db") in answer.out
    assert "no node is alive" in answer.out


def test_config_shows_where_each_value_came_from(leveret, module, monkeypatch):
    monkeypatch.setenv("LEVERET_TASK_TRACK_STARTED", "1")
    name = module("app.conf.result_backend = 'redis://user:secret@host'\n")

    answer = leveret("config", "-A", name, "-b", "memory://", "--json")
    rows = {row["name"]: (row["value"], row["origin"]) for row in json.loads(answer.out)}

    assert rows["broker_url"] == ("memory://", "command line")
    assert rows["task_track_started"] == (True, "environment")
    assert rows["result_backend"] == ("redis://user:**@host", "code")
    assert rows["task_serializer"] == ("json", "default")
    assert "secret" not in answer.out + leveret("config", "-A", name).out


def test_config_names_a_misspelt_variable(leveret, module, monkeypatch):
    monkeypatch.setenv("LEVERET_TASK_TRACK_STARTD", "1")

    answer = leveret("config", "-A", module())

    assert answer.code == 1
    assert "did you mean LEVERET_TASK_TRACK_STARTED" in answer.err


def test_report_lists_parts_and_where_they_are_from(leveret, project):
    parts = json.loads(leveret("report", "--json").out)["parts"]

    assert {"kind": "brokers", "name": "sqlite", "origin": "built in"}.items() <= parts[1].items()


def test_dead_letters_must_be_chosen(leveret, module):
    name = module()

    assert leveret("dead", "list", "-A", name).out == "no dead letters\n"
    assert "say which" in leveret("dead", "redrive", "-A", name).err
    assert leveret("dead", "show", "-A", name, "abc").code == 1
    assert json.loads(leveret("dead", "redrive", "-A", name, "--all", "--json").out) == {"redriven": 0}


def test_a_settings_module_may_be_named(leveret, module, project, monkeypatch):
    monkeypatch.setenv("LEVERET_CONFIG_MODULE", "")
    (project / "mysettings.py").write_text("task_default_queue = 'fromfile'\n")
    monkeypatch.syspath_prepend(str(project))

    answer = leveret("--config", "mysettings", "config", "-A", module(), "--changed")

    assert "fromfile" in answer.out
    assert "object or file" in answer.out


def test_workdir_is_where_the_app_is_looked_for(leveret, module, project, monkeypatch):
    name = module()
    (project / "elsewhere").mkdir()
    monkeypatch.chdir(project / "elsewhere")

    assert leveret("--workdir", str(project), "queues", "-A", name).code == 0
    assert leveret("--workdir", "/no/such/folder", "queues").code == 2
