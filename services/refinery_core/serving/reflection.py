"""Reflection under both of its names, so that every tool finds the services without files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import grpc
from google.protobuf import descriptor_pool
from google.protobuf.descriptor import FileDescriptor
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from grpc_reflection.v1alpha._async import ReflectionServicer


class _Symbols:
    """The default pool, which finds methods too, such as `grpcurl describe` asks for."""

    def __getattr__(self, name: str) -> Any:
        return getattr(descriptor_pool.Default(), name)

    def FindFileContainingSymbol(self, symbol: str) -> FileDescriptor:  # noqa: N802 -- the pool's word
        pool = descriptor_pool.Default()
        try:
            return pool.FindFileContainingSymbol(symbol)
        except KeyError:
            service, _, method = symbol.rpartition(".")
            return pool.FindServiceByName(service).methods_by_name[method].containing_service.file


def add_reflection(server: grpc.aio.Server, names: Sequence[str]) -> None:
    """Serve reflection for these services as grpc.reflection.v1alpha and as grpc.reflection.v1."""
    listed = (*names, reflection_pb2.DESCRIPTOR.services_by_name["ServerReflection"].full_name)
    servicer = ReflectionServicer(listed, pool=_Symbols())
    reflection_pb2_grpc.add_ServerReflectionServicer_to_server(servicer, server)
    # grpcio knows v1alpha only. v1 is the same on the wire. It is not listed, because its
    # descriptor is not there to be shown.
    answer = grpc.stream_stream_rpc_method_handler(
        servicer.ServerReflectionInfo,
        request_deserializer=reflection_pb2.ServerReflectionRequest.FromString,
        response_serializer=reflection_pb2.ServerReflectionResponse.SerializeToString,
    )
    v1 = grpc.method_handlers_generic_handler(
        "grpc.reflection.v1.ServerReflection", {"ServerReflectionInfo": answer}
    )
    server.add_generic_rpc_handlers((v1,))
