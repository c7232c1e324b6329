"""The AsyncAPI 3.0 document of all events, generated from the event classes, so that it always agrees with them.

A broker message is a CloudEvent (`protocol.codec.cloud_event`) whose `data` has the schema of its type and version.
"""

from importlib.metadata import version
from typing import Any

import msgspec
from innkeeper.protocol.codec import wire
from innkeeper.protocol.codec.cloud_event import MEDIA_TYPE, CloudEvent
from innkeeper.protocol.delivery.broker_names import (
    INSTALLATION_HEADER,
    TIMELINE_HEADER,
    BrokerNames,
)
from innkeeper.protocol.messages.event import Event
from innkeeper.protocol.values.installation import Installation

Schema = dict[str, Any]

_SCHEMAS = "#/components/schemas/{name}"
_HEADERS = {
    "type": "object",
    "properties": {
        INSTALLATION_HEADER: {"type": "string", "description": "The id of the installation that published the event."},
        TIMELINE_HEADER: {"type": "string", "description": "The timeline of its journal."},
    },
    "required": [INSTALLATION_HEADER, TIMELINE_HEADER],
}


def document(installation: Installation) -> Schema:
    """The whole document, with this installation's names at a broker.

    `components` has a message and a schema for each event, such as `BookingConfirmedV1`."""
    kinds = {schema_name(kind): kind for kind in wire.ALL_EVENTS}
    (_, *found), components = msgspec.json.schema_components([CloudEvent, *kinds.values()], ref_template=_SCHEMAS)
    for name, reference in zip(kinds, found, strict=True):
        components[name] = components.pop(reference["$ref"].rpartition("/")[2])
    messages = {name: _message(name, kind) for name, kind in kinds.items()}
    names = BrokerNames(installation)
    return {
        "asyncapi": "3.0.0",
        "id": "urn:innkeeper",
        "info": {
            "title": "Innkeeper",
            "version": version("innkeeper"),
            "description": "All events, at least once, in the order of their hotel. A repeated event has the same id.",
        },
        "defaultContentType": MEDIA_TYPE,
        "channels": {"rabbitmq": _rabbitmq(names, messages), "kafka": _kafka(names, messages)},
        "operations": {
            "publishToRabbitmq": _send_operation("rabbitmq", messages),
            "publishToKafka": _send_operation("kafka", messages),
        },
        "components": {"messages": messages, "schemas": components},
    }


def schema_name(kind: type[Event]) -> str:
    """The name of an event's message and schema in the document, such as `BookingConfirmedV1`."""
    return f"{kind.__name__}V{kind.version}"


def _message(name: str, kind: type[Event]) -> Schema:
    type_name = wire.type_name(kind)
    data = {"$ref": _SCHEMAS.format(name=name)}
    own = {"type": "object", "properties": {"type": {"const": type_name}, "data": data}}
    return {
        "name": type_name,
        "title": type_name,
        "summary": " ".join((kind.__doc__ or "").split()),
        "contentType": MEDIA_TYPE,
        "headers": _HEADERS,
        "payload": {"allOf": [{"$ref": _SCHEMAS.format(name="CloudEvent")}, own]},
    }


def _rabbitmq(names: BrokerNames, messages: Schema) -> Schema:
    exchange = {"name": names.events, "type": "topic", "durable": True, "autoDelete": False}
    return {
        "address": "{hotel}.{type}",
        "description": "The routing keys of a durable topic exchange. Messages are persistent, with the event's id.",
        "parameters": {
            "hotel": {"description": "The hotel's id, or _all for an event of no single hotel."},
            "type": {"description": "The type of the event, such as innkeeper.booking.confirmed.v1."},
        },
        "messages": _references(messages),
        "bindings": {"amqp": {"is": "routingKey", "exchange": exchange}},
    }


def _kafka(names: BrokerNames, messages: Schema) -> Schema:
    return {
        "address": names.events,
        "description": "One topic. The key of a message is the hotel's id, so that the events of a hotel are ordered.",
        "messages": _references(messages),
        "bindings": {"kafka": {"topic": names.events}},
    }


def _references(messages: Schema) -> Schema:
    return {name: {"$ref": f"#/components/messages/{name}"} for name in messages}


def _send_operation(channel: str, messages: Schema) -> Schema:
    return {
        "action": "send",
        "channel": {"$ref": f"#/channels/{channel}"},
        "messages": [{"$ref": f"#/channels/{channel}/messages/{name}"} for name in messages],
    }
