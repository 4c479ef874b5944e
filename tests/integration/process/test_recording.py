from __future__ import annotations

from pathlib import Path

from process_worker.jq.evaluator import Evaluator
from tests.integration.process.executor import Executor
from tests.integration.process.recording import record
from tests.integration.process.replaying import replay_run
from tests.replay import corpus
from tests.replay.cases import CASES


async def test_what_is_recorded_today_replays_and_names_no_address(
    executor: Executor, tmp_path: Path
) -> None:
    (case,) = (case for case in CASES if case.name == "fork-compete")
    file = corpus.path(case.name, tmp_path)
    await record(executor, case, file)
    assert executor.web.base not in file.read_text()
    (run,) = corpus.read(file)
    with Evaluator(children=1) as evaluator:
        await replay_run(run, evaluator)
