"""gRPC calls: unary, to allowed hosts; the messages are described by the server or by a descriptor."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Mapping
from typing import Any, Final

import grpc
from google.protobuf import json_format
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.descriptor_database import DescriptorDatabase
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import DecodeError
from google.protobuf.message_factory import GetMessageClass
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from process_worker.activities.outside.gateway import Gateway
from process_worker.engine.calls import GrpcCall
from process_worker.engine.faults import Fault, standard
from refinery_core.vibe.documents import MAX_BYTES

SECONDS: Final = 60.0
_USUAL_PORT: Final = 443
_STATUSES: Final = {
    grpc.StatusCode.INVALID_ARGUMENT: 400,
    grpc.StatusCode.OUT_OF_RANGE: 400,
    grpc.StatusCode.UNAUTHENTICATED: 401,
    grpc.StatusCode.PERMISSION_DENIED: 403,
    grpc.StatusCode.NOT_FOUND: 404,
    grpc.StatusCode.ALREADY_EXISTS: 409,
    grpc.StatusCode.ABORTED: 409,
    grpc.StatusCode.FAILED_PRECONDITION: 412,
    grpc.StatusCode.RESOURCE_EXHAUSTED: 429,
    grpc.StatusCode.UNIMPLEMENTED: 501,
    grpc.StatusCode.UNAVAILABLE: 503,
    grpc.StatusCode.DEADLINE_EXCEEDED: 504,
}
"""The HTTP statuses of gRPC codes; the others are 500."""


async def call(gateway: Gateway, asked: GrpcCall, authorization: Mapping[str, str], descriptor: Any) -> Any:
    """
    Call a method; `descriptor` is `{"base64": …}`, a FileDescriptorSet, or None to ask the server.

    The default port is 443.

    Raises:
        Fault: the host is not allowed, there is no such method, or the call failed.
    """
    host, port = asked.host.lower(), asked.port or _USUAL_PORT
    address = await gateway.address_of(host, port)
    target = f"ipv6:[{address}]:{port}" if ":" in address else f"ipv4:{address}:{port}"
    metadata = tuple((name.lower(), value) for name, value in authorization.items())
    try:
        with _channel(gateway, target, host, port) as channel:
            # A thread cannot be cancelled; closing its channel ends its wait.
            async with asyncio.timeout(gateway.seconds):
                return await asyncio.to_thread(_call, channel, asked, metadata, descriptor)
    except TimeoutError:
        raise standard("timeout", f"{host} did not answer in {gateway.seconds:g} seconds") from None


def _channel(gateway: Gateway, target: str, host: str, port: int) -> grpc.Channel:
    options = (
        ("grpc.default_authority", f"{host}:{port}"),
        ("grpc.max_receive_message_length", MAX_BYTES),
        ("grpc.enable_http_proxy", 0),
    )
    if gateway.speaks_tls(host, port):
        return grpc.secure_channel(target, grpc.ssl_channel_credentials(gateway.authorities), options)
    return grpc.insecure_channel(target, options)


def _call(channel: grpc.Channel, asked: GrpcCall, metadata: tuple[tuple[str, str], ...], given: Any) -> Any:
    pool = DescriptorPool(ProtoReflectionDescriptorDatabase(channel) if given is None else _database(given))
    try:
        method = _method(pool, asked.service, asked.method)
        request = GetMessageClass(method.input_type)()
        json_format.ParseDict(asked.arguments, request, descriptor_pool=pool)
        ask: grpc.UnaryUnaryMultiCallable[Any, Any] = channel.unary_unary(
            f"/{asked.service}/{asked.method}",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=GetMessageClass(method.output_type).FromString,
        )
        answer = ask(request, timeout=SECONDS, metadata=metadata)
    except grpc.RpcError as error:
        raise _failed(error) from None
    except json_format.ParseError as error:
        raise standard("validation", f"the arguments do not fit the method: {error}") from None
    try:
        return json_format.MessageToDict(answer, preserving_proto_field_name=True, descriptor_pool=pool)
    except (TypeError, ValueError, json_format.Error) as error:
        # The call was made, and a retry would make it again.
        raise standard("communication", f"the answer cannot be read: {error}", status=502) from None


def _method(pool: DescriptorPool, service: str, name: str) -> MethodDescriptor:
    try:
        method = pool.FindServiceByName(service).methods_by_name[name]
    except KeyError:
        raise standard("configuration", f"there is no method '{service}/{name}'") from None
    except (TypeError, RecursionError):
        raise standard("configuration", f"the descriptors of '{service}' cannot be read") from None
    if method.client_streaming or method.server_streaming:
        raise standard("configuration", f"'{service}/{name}' streams; only unary methods can be called")
    return method


def _database(given: Any) -> DescriptorDatabase:
    try:
        files = FileDescriptorSet.FromString(base64.b64decode(given["base64"]))
    except (KeyError, TypeError, ValueError, DecodeError):
        detail = 'a descriptor is {"base64": …}, the bytes of a FileDescriptorSet'
        raise standard("configuration", detail) from None
    database = DescriptorDatabase()
    for file in files.file:
        database.Add(file)
    return database


def _failed(error: grpc.RpcError) -> Fault:
    code, detail = error.code(), error.details()
    return standard("communication", detail or code.name, title=code.name, status=_STATUSES.get(code, 500))
