"""Events say why, in a code that programs count and in a person's words."""

from pathlib import Path

from support.gateway import gateway as running_gateway


def test_a_cancellation_says_why_in_a_code_and_in_words(tmp_path: Path) -> None:
    with running_gateway(tmp_path / "data") as gateway:
        hotel = gateway.open_hotel({"DBL": 4})
        for action, fields in (
            ("cancel", {"reason": "flooded", "reason_code": "hotel"}),
            ("cancel", {}),
            ("release", {"reason_code": "payment"}),
        ):
            booking = gateway.book(hotel, 5, 2, status="held" if action == "release" else "confirmed")
            assert gateway.act(hotel, booking, action, **fields).status == 200
            event = gateway.get("/v1/events?limit=200").json["data"][-1]["data"]
            said = (event.get("reason_code", "guest"), event.get("reason", ""))  # a default is left out
            assert said == (fields.get("reason_code", "guest"), fields.get("reason", ""))
