from __future__ import annotations

from typing import Any

import pytest

from process_worker.engine.faults import Fault
from process_worker.outside.openapi import request_of

LIMIT = {"name": "limit", "in": "query"}
PETS: dict[str, Any] = {
    "openapi": "3.0.0",
    "servers": [{"url": "https://pets.test/v1"}],
    "components": {"parameters": {"limit": LIMIT}},
    "paths": {
        "/pets/{id}": {
            "parameters": [{"name": "id", "in": "path", "required": True}],
            "get": {"operationId": "getPet", "parameters": [{"$ref": "#/components/parameters/limit"}]},
            "put": {
                "operationId": "putPet",
                "parameters": [{"name": "X-Who", "in": "header"}],
                "requestBody": {"content": {"application/json": {}}},
            },
        }
    },
}


def ask(operation: str, document: Any = PETS, base: str | None = None, **parameters: Any) -> dict[str, Any]:
    what = {"operation": operation, "parameters": parameters, "answer": "content", "redirect": False}
    return request_of(document, what, base)


def test_parameters_go_where_the_document_says() -> None:
    asked = ask("getPet", id="a/b", limit=5)
    assert (asked["method"], asked["uri"]) == ("GET", "https://pets.test/v1/pets/a%2Fb")
    assert asked["query"] == {"limit": 5}
    assert "body" not in asked


def test_what_is_no_parameter_is_the_body() -> None:
    assert ask("putPet", id=1, **{"X-Who": "me"}, name="Rex")["body"] == {"name": "Rex"}
    asked = ask("putPet", id=1, **{"X-Who": "me"}, body=[1])
    assert (asked["body"], asked["headers"]) == ([1], {"X-Who": "me"})


def test_a_relative_server_is_relative_to_the_document() -> None:
    document = {**PETS, "servers": [{"url": "../api"}]}
    assert (
        ask("getPet", document, "https://x.test/docs/pets.json", id=1)["uri"] == "https://x.test/api/pets/1"
    )


def test_documents_of_the_second_version_are_read() -> None:
    paths = {"/x": {"post": {"operationId": "x", "parameters": [{"name": "b", "in": "body"}]}}}
    document = {"swagger": "2.0", "host": "x.test", "basePath": "/v2", "schemes": ["http"], "paths": paths}
    asked = ask("x", document, b={"n": 1})
    assert (asked["uri"], asked["body"]) == ("http://x.test/v2/x", {"n": 1})


@pytest.mark.parametrize(
    ("operation", "parameters", "problem"),
    [
        ("nobody", {}, "no operation 'nobody'"),
        ("getPet", {}, "needs the parameter 'id'"),
        ("getPet", {"id": 1, "odd": 2}, "no parameter 'odd'"),
    ],
)
def test_what_does_not_fit_is_refused(operation: str, parameters: dict[str, Any], problem: str) -> None:
    with pytest.raises(Fault, match=problem):
        ask(operation, **parameters)


@pytest.mark.parametrize("reference", ["https://evil.test/x", "file:///etc/passwd", "#/nowhere"])
def test_nothing_outside_the_document_is_fetched(reference: str) -> None:
    paths = {"/x": {"get": {"operationId": "x", "parameters": [{"$ref": reference}]}}}
    with pytest.raises(Fault, match="leads"):
        ask("x", {**PETS, "paths": paths})


@pytest.mark.parametrize(
    "document",
    [
        {"paths": {"/x": 1}},
        {"paths": {"/x": {"get": {"operationId": "x", "parameters": [1]}}}},
        {"paths": {"/x": {"get": {"operationId": "x"}}}, "servers": [{}]},
        {"paths": {"/x": {"get": {"operationId": "x"}}}, "servers": 1},
        {"swagger": "2.0", "schemes": 1, "paths": {"/x": {"get": {"operationId": "x"}}}},
        {"paths": [1]},
    ],
)
def test_what_is_no_openapi_document_is_refused(document: Any) -> None:
    with pytest.raises(Fault) as caught:
        ask("x", document)
    assert caught.value.problem.status == 400
