from __future__ import annotations

from typing import Any

import pytest

from process_worker.activities.outside.openapi import request_of
from process_worker.engine.calls import ABSENT, HttpCall, OpenApiCall, StoredDocument
from process_worker.engine.faults import Fault

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


def ask(operation: str, document: Any = PETS, base: str | None = None, **parameters: Any) -> HttpCall:
    return request_of(document, OpenApiCall(StoredDocument("main@x?1"), operation, parameters), base)


def test_parameters_go_where_the_document_says() -> None:
    asked = ask("getPet", id="a/b", limit=5)
    assert (asked.method, asked.uri) == ("GET", "https://pets.test/v1/pets/a%2Fb")
    assert asked.query == {"limit": 5}
    assert asked.body is ABSENT


def test_what_is_no_parameter_is_the_body() -> None:
    assert ask("putPet", id=1, **{"X-Who": "me"}, name="Rex").body == {"name": "Rex"}
    asked = ask("putPet", id=1, **{"X-Who": "me"}, body=[1])
    assert (asked.body, asked.headers) == ([1], {"X-Who": "me"})


def test_a_relative_server_is_relative_to_the_document() -> None:
    document = {**PETS, "servers": [{"url": "../api"}]}
    assert ask("getPet", document, "https://x.test/docs/pets.json", id=1).uri == "https://x.test/api/pets/1"


def test_documents_of_the_second_version_are_read() -> None:
    paths = {"/x": {"post": {"operationId": "x", "parameters": [{"name": "b", "in": "body"}]}}}
    document = {"swagger": "2.0", "host": "x.test", "basePath": "/v2", "schemes": ["http"], "paths": paths}
    asked = ask("x", document, b={"n": 1})
    assert (asked.uri, asked.body) == ("http://x.test/v2/x", {"n": 1})


def ask_with(parameter: dict[str, Any], value: Any, **more: Any) -> HttpCall:
    operation = {"operationId": "x", "parameters": [{"name": "p", **parameter}], **more}
    document = {"servers": [{"url": "https://x.test"}], "paths": {"/x/{p}": {"get": operation}}}
    return ask("x", document, p=value)


@pytest.mark.parametrize(
    ("value", "path"),
    [("a b", "a%20b"), (True, "true"), (1.5, "1.5"), ([1, "a/b", None], "1,a%2Fb,"), ("ü", "%C3%BC")],
)
def test_a_value_in_a_path_is_written_as_text(value: Any, path: str) -> None:
    assert ask_with({"in": "path"}, value).uri == f"https://x.test/x/{path}"


@pytest.mark.parametrize(
    ("parameter", "value", "query"),
    [
        ({}, [1, 2], {"p": [1, 2]}),
        ({"style": "form", "explode": True}, [1, 2], {"p": [1, 2]}),
        ({"explode": False}, [1, "a"], {"p": "1,a"}),
        ({"type": "array"}, [1, 2], {"p": "1,2"}),
        ({"type": "array", "collectionFormat": "multi"}, [1, 2], {"p": [1, 2]}),
        ({}, {"a": 1, "b": [2]}, {"a": 1, "b": [2]}),
        ({"explode": False}, {"a": 1, "b": True}, {"p": "a,1,b,true"}),
    ],
)
def test_lists_and_objects_in_a_query_are_written_in_their_style(
    parameter: dict[str, Any], value: Any, query: dict[str, Any]
) -> None:
    assert ask_with({"in": "query", **parameter}, value).query == query


def test_a_list_in_a_header_is_joined() -> None:
    assert ask_with({"in": "header"}, ["a", 1]).headers == {"p": "a,1"}


def test_a_form_is_sent_where_the_operation_takes_one_and_no_json() -> None:
    kinds: dict[str, Any] = {"application/x-www-form-urlencoded": {}}
    document = {
        "servers": [{"url": "https://x.test"}],
        "paths": {"/x": {"post": {"operationId": "x", "requestBody": {"content": kinds}}}},
    }
    asked = ask("x", document, a="b c", n=[1, 2])
    assert asked.body == "a=b+c&n=1&n=2"
    assert asked.headers == {"Content-Type": "application/x-www-form-urlencoded"}
    kinds["application/json; charset=utf-8"] = {}
    assert ask("x", document, a="b").body == {"a": "b"}


def test_form_fields_of_the_second_version_are_a_form() -> None:
    parameters = [{"name": "a", "in": "formData", "type": "string"}]
    paths = {"/x": {"post": {"operationId": "x", "parameters": parameters}}}
    asked = ask("x", {"swagger": "2.0", "host": "x.test", "paths": paths}, a="ü")
    assert (asked.uri, asked.body) == ("https://x.test/x", "a=%C3%BC")


def test_variables_of_a_server_have_their_defaults() -> None:
    server = {"url": "https://{region}.x.test", "variables": {"region": {"default": "eu"}}}
    assert ask("getPet", {**PETS, "servers": [server]}, id=1).uri == "https://eu.x.test/pets/1"


@pytest.mark.parametrize(
    ("operation", "parameters", "problem"),
    [
        ("getPet", {"id": {"a": 1}}, "'id' has a style that is not supported"),
        ("nobody", {}, "no operation 'nobody'"),
        ("getPet", {}, "needs the parameter 'id'"),
        ("getPet", {"id": 1, "odd": 2}, "no parameter 'odd'"),
    ],
)
def test_what_does_not_fit_is_refused(operation: str, parameters: dict[str, Any], problem: str) -> None:
    with pytest.raises(Fault, match=problem):
        ask(operation, **parameters)


def test_an_operation_has_its_own_word_about_parameters_and_servers() -> None:
    shared = {"name": "id", "in": "path", "required": True, "description": "of all"}
    item: dict[str, Any] = {
        "servers": [{"url": "https://item.test"}],
        "parameters": [shared],
        "get": {"operationId": "x", "parameters": [{**shared, "description": "of this"}]},
    }
    document = {"servers": [{"url": "https://all.test"}], "paths": {"/x/{id}": {"$ref": "#/shared/item"}}}
    document |= {"shared": {"item": item}}
    assert ask("x", document, id=1).uri == "https://item.test/x/1"
    item["get"]["servers"] = [{"url": "https://own.test"}]
    assert ask("x", document, id=1).uri == "https://own.test/x/1"


@pytest.mark.parametrize("value", [None, "", [], "..", "."])
def test_a_part_of_a_path_is_one(value: Any) -> None:
    with pytest.raises(Fault, match="'p' is a part of the path, and cannot be"):
        ask_with({"in": "path"}, value)


def test_a_style_that_is_not_known_is_refused() -> None:
    with pytest.raises(Fault, match="'p' has a style that is not supported"):
        ask_with({"in": "query", "style": "deepObject"}, {"a": 1})


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
