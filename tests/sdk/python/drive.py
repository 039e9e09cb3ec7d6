"""Plays conversations through the official Python SDKs.

A job a line in: which api, where, the request and what the client says after each answer. What the
SDK made of it a line out: each turn's message, all that was heard in a stream, and how it failed.
"""

import json
import ssl
import sys

import anthropic
import openai


def dump(value):
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json", warnings=False, by_alias=True)
    return getattr(value, "__dict__", None) or str(value)


class Turn:
    """One answer as the SDK hands it out."""

    def __init__(self):
        self.message, self.events, self.heard = None, [], ""

    def hears(self, event, text=None):
        self.events.append(json.dumps(dump(event), default=dump))
        self.heard += text or ""

    def shown(self):
        return {"message": self.message and dump(self.message), "heard": self.heard, "events": self.events}


def messages(api, job, turn):
    """`anthropic`: Messages, and beta Messages."""
    request = job["request"]
    if job["stream"]:
        with api.stream(**request) as stream:
            for event in stream:
                turn.hears(event, event.text if event.type == "text" else None)
            turn.message = stream.get_final_message()
    else:
        turn.message = api.create(**request)
    request["messages"].append({"role": "assistant", "content": turn.message.content})


def runner(api, job, turn):
    """The SDK's own loop: it calls the tool and goes on until nothing is called."""
    outputs = iter(job["outputs"])

    @anthropic.beta_tool
    def run_command(command: str) -> str:
        """Runs a command in the shell."""
        return next(outputs)

    request = {**job["request"], "tools": [run_command]}
    if not job["chained"]:
        request["thread"] = False
    loop = api.tool_runner(**request, stream=job["stream"])
    for step in loop:
        if job["stream"]:
            for event in step:
                turn.hears(event, event.text if event.type == "text" else None)
        else:
            turn.hears(step)
    turn.message = loop.until_done()


def chat(api, job, turn):
    """`openai`: Chat Completions."""
    request = job["request"]
    if job["stream"]:
        with api.stream(**request) as stream:
            for event in stream:
                turn.hears(event, event.delta if event.type == "content.delta" else None)
            turn.message = stream.get_final_completion()
    else:
        turn.message = api.create(**request)
    request["messages"].append(turn.message.choices[0].message)


def responses(api, job, turn):
    """`openai`: Responses, alone or each on top of the one before."""
    request = job["request"]
    if job["stream"]:
        with api.stream(**request) as stream:
            for event in stream:
                turn.hears(event, event.delta if event.type == "response.output_text.delta" else None)
            turn.message = stream.get_final_response()
    else:
        turn.message = api.create(**request)
    if job["chained"]:
        request["previous_response_id"] = turn.message.id
        request["input"] = []
    else:
        request["input"] += turn.message.output


def gemini(api, job, turn):
    """`google-genai`: it has no accumulator, so the parts are put together here."""
    from google.genai import types

    request = job["request"]
    arguments = {
        "model": "gemini-3-pro",
        "contents": request["contents"],
        "config": {
            "tools": request["tools"],
            "automatic_function_calling": {"disable": True},
        },
    }
    if not job["stream"]:
        turn.message = api.models.generate_content(**arguments)
        request["contents"].append(turn.message.candidates[0].content)
        return
    parts, finish = [], None
    for chunk in api.models.generate_content_stream(**arguments):
        turn.hears(chunk)
        candidate = chunk.candidates[0]
        finish = candidate.finish_reason or finish
        for part in (candidate.content and candidate.content.parts) or []:
            plain = part.text is not None and not part.thought and not part.thought_signature
            if plain and parts and parts[-1].text is not None and not parts[-1].thought:
                parts[-1].text += part.text
            else:
                parts.append(part)
            turn.heard += part.text if plain else ""
    content = types.Content(role="model", parts=parts)
    turn.message = types.GenerateContentResponse(
        candidates=[types.Candidate(content=content, finish_reason=finish, index=0)]
    )
    request["contents"].append(content)


def count(job):
    """How many tokens a request has."""
    request = job["request"]
    if job["api"] == "count":
        return anthropic_client(job).messages.count_tokens(**request).input_tokens
    return openai_client(job).responses.input_tokens.count(**request).input_tokens


# Certificates are read once, not for every client; connections are not kept beyond a job, since its
# address may be another's in the next.
CERTIFICATES = ssl.create_default_context()


def anthropic_client(job):
    http = anthropic.DefaultHttpxClient(verify=CERTIFICATES)
    common = {"api_key": "test", "max_retries": job["retries"], "http_client": http}
    return anthropic.Anthropic(base_url=job["base"], **common)


def openai_client(job):
    http = openai.DefaultHttpxClient(verify=CERTIFICATES)
    common = {"api_key": "test", "max_retries": job["retries"], "http_client": http}
    return openai.OpenAI(base_url=job["base"] + "/v1", **common)


def gemini_client(job):
    from google import genai

    return genai.Client(api_key="test", http_options={"base_url": job["base"], "api_version": "v1beta"})


APIS = {
    "messages": lambda job: (messages, anthropic_client(job).messages),
    "beta-messages": lambda job: (messages, anthropic_client(job).beta.messages),
    "runner": lambda job: (runner, anthropic_client(job).beta.messages),
    "chat": lambda job: (chat, openai_client(job).chat.completions),
    "responses": lambda job: (responses, openai_client(job).responses),
    "gemini": lambda job: (gemini, gemini_client(job)),
}


def failure(error):
    """What a user's `except` sees."""
    response = getattr(error, "response", None)
    headers = getattr(response, "headers", None) or {}
    return {
        "class": type(error).__name__,
        "status": getattr(error, "status_code", None) or getattr(error, "code", None),
        "body": getattr(error, "body", None) or getattr(error, "details", None),
        "retry_after": headers.get("retry-after"),
    }


def play(job):
    if job["api"] in ("count", "count-responses"):
        return {"turns": [{"message": {"tokens": count(job)}, "heard": "", "events": []}], "error": None}
    turns, error = [], None
    ask, api = APIS[job["api"]](job)
    try:
        for said in [[]] + job["then"]:
            job["request"][job["list"]] += said
            turns.append(Turn())
            ask(api, job, turns[-1])
    except Exception as raised:  # Whatever the SDK raises is what is compared.
        error = failure(raised)
    return {"turns": [turn.shown() for turn in turns], "error": error}


for line in sys.stdin:
    print(json.dumps(play(json.loads(line)), default=dump), flush=True)
