"""Shrinks a conversation with a running `headroom proxy`: python3 compress.py [URL] < messages.json"""
import json
import sys
import urllib.request

url = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8787"
ask = {"messages": json.load(sys.stdin), "model": "claude-opus-5-5", "retrievable": True}
request = urllib.request.Request(url + "/v1/compress", json.dumps(ask).encode(), {"content-type": "application/json"})
answer = json.load(urllib.request.urlopen(request))
json.dump(answer["messages"], sys.stdout)  # send these, with answer["tool"] listed last
print(answer["report"]["tokens_saved"], "tokens saved", file=sys.stderr)
