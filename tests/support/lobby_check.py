"""Looks at deliveries as a lobby would that uses nobody's code but published libraries.

    lobby_check.py SCHEMAS < deliveries

Each line is {"headers": {…}, "body": "…", "secrets": ["whsec_…", …], "strangers": ["whsec_…", …]}. Every one of the
secrets has to verify the delivery, none of the strangers may, nor any secret a body that was tampered with; the body
has to be a CloudEvent, and its data what the schema in the directory SCHEMAS says. What was understood is printed, a
line each; whatever is wrong ends it with a traceback.
"""

import json
import pathlib
import sys

from cloudevents.core.bindings.http import HTTPMessage, from_http_event
from jsonschema import Draft202012Validator
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

schemas = {
    schema["$id"]: Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER)
    for schema in (json.loads(file.read_text()) for file in pathlib.Path(sys.argv[1]).glob("*.json"))
}
for validator in schemas.values():
    Draft202012Validator.check_schema(validator.schema)


def refused(secret, body, headers):
    try:
        Webhook(secret).verify(body, headers)
    except WebhookVerificationError:
        return True
    return False


for line in sys.stdin:
    delivery = json.loads(line)
    headers, body = delivery["headers"], delivery["body"]
    for secret in delivery["secrets"]:
        Webhook(secret).verify(body, headers)
        assert refused(secret, body + " ", headers), "a body that was tampered with was believed"
        assert refused(secret, body, {**headers, "webhook-id": "another"}), "another id was believed"
    for secret in delivery["strangers"]:
        assert refused(secret, body, headers), "a secret verified what it did not sign"
    event = from_http_event(HTTPMessage(headers=headers, body=body.encode()))
    assert event.get_id() == headers["webhook-id"], "two ids"
    schemas[event.get_dataschema()].validate(event.get_data())
    print(
        json.dumps(
            {
                "id": event.get_id(),
                "type": event.get_type(),
                "source": event.get_source(),
                "subject": event.get_subject(),
                "sequence": event.get_extension("sequence"),
                "seq": event.get_data()["seq"],
            }
        )
    )
