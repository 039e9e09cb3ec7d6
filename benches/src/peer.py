# One request a line in, one answer a line out: the peer's public compress(), with its defaults.
# Standard output is kept for answers; whatever the peer prints goes to the error stream.
import atexit, json, os, re, shutil, sys, tempfile, time

home = tempfile.mkdtemp()  # its store starts empty and ends with this process
atexit.register(shutil.rmtree, home, ignore_errors=True)
os.environ.update(HOME=home, HF_HUB_OFFLINE="1", LITELLM_LOCAL_MODEL_COST_MAP="True")
answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)

import headroom
from headroom.cache.compression_store import get_compression_store


def answer(value):
    answers.write(json.dumps(value) + "\n")
    answers.flush()


def call(request):
    start = time.perf_counter()
    messages = headroom.compress(request["messages"], model=request["model"]).messages
    seconds = time.perf_counter() - start
    handle = re.compile(r"\b[0-9a-f]{8,64}\b")
    out = json.dumps(messages, ensure_ascii=False)
    before = json.dumps(request["messages"], ensure_ascii=False)
    named = sorted(set(handle.findall(out)) - set(handle.findall(before)))
    found = [get_compression_store().retrieve(name) for name in named]
    originals = [entry.original_content for entry in found if entry]
    return {"messages": messages, "seconds": seconds, "originals": originals}


# Tables, tokenizers and detectors are loaded before anything is timed.
for model in ("claude-sonnet-4-5", "gpt-4o"):
    text = json.dumps([{"id": n, "name": f"row {n}"} for n in range(500)])
    call({"model": model, "messages": [
        {"role": "user", "content": "go"},
        {"role": "assistant", "content": None,
         "tool_calls": [{"id": "1", "type": "function", "function": {"name": "fetch", "arguments": "{}"}}]},
        {"role": "tool", "tool_call_id": "1", "content": text}]})
answer({"version": headroom.__version__})
for line in sys.stdin:
    try:
        answer(call(json.loads(line)))
    except Exception as error:
        answer({"error": f"{type(error).__name__}: {error}"})
