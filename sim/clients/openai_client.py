"""OpenAI's own Python client, unmodified, against `justright serve`. Usage: openai_client.py BASE_URL KEY MODEL OTHER, of which OTHER still sleeps."""
import sys, threading, time
import openai
from openai import OpenAI

base, key, model, other = sys.argv[1:5]
client = OpenAI(base_url=base, api_key=key)
failed = []


def case(name, f):
    began = time.time()
    try:
        said = f()
        print(f"client openai-python {openai.__version__} ok {name} {time.time() - began:.1f} s {said or ''}", flush=True)
    except Exception as e:  # each case is reported
        failed.append(name)
        print(f"client openai-python {openai.__version__} FAIL {name}: {type(e).__name__}: {e}")


def raises(kind, f):
    try:
        f()
    except kind as e:
        return e
    raise AssertionError(f"no {kind.__name__}")


def chat(c=client, m=model, **more):
    return c.chat.completions.create(model=m, messages=[{"role": "user", "content": "Say one word."}], max_tokens=8, **more)


def wakes():
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(chat().choices[0].message.content)) for _ in range(8)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert len(answers) == 8 and all(answers), answers
    return "eight at once"


def lists():
    ids = [m.id for m in client.models.list()]
    assert model in ids and other in ids, ids
    assert client.models.retrieve(model).id == model
    assert raises(openai.NotFoundError, lambda: client.models.retrieve("no/such")).code == "model_not_found"


def streams():
    text, usage = "", None
    for chunk in chat(stream=True, stream_options={"include_usage": True}):
        usage = chunk.usage or usage
        text += "".join(c.delta.content or "" for c in chunk.choices)
    assert text and usage and usage.completion_tokens > 0, (text, usage)


def keys():
    e = raises(openai.AuthenticationError, lambda: chat(OpenAI(base_url=base, api_key="wrong")))
    assert e.status_code == 401 and e.code == "invalid_api_key", e


def unknown():
    e = raises(openai.NotFoundError, lambda: chat(m="no/such"))
    assert e.code == "model_not_found" and model in str(e), e


def engine_errors():
    e = raises(openai.BadRequestError, lambda: client.chat.completions.create(model=model, messages=[]))
    assert "Field required" in str(e), e
    raises(openai.NotFoundError, lambda: client.moderations.create(input="x"))


def legacy():
    assert client.completions.create(model=model, prompt="One", max_tokens=4).choices[0].text


def impatient():
    """A client that will not be held is told when to come again, and this one does so by itself."""
    patient = OpenAI(base_url=base, api_key=key, max_retries=8, default_headers={"Prefer": "wait=0"})
    e = raises(openai.APIStatusError, lambda: chat(OpenAI(base_url=base, api_key=key, max_retries=0, default_headers={"Prefer": "wait=0"}), other))
    assert e.status_code == 503 and e.code == "model_waking" and 0 < int(e.response.headers["retry-after"]) <= 60, e
    began = time.time()
    waits = []
    real = time.sleep
    time.sleep = lambda s: (waits.append(s), real(min(s, 3)))  # as it would, but not for so long
    try:
        assert chat(patient, other).choices[0].message.content
    finally:
        time.sleep = real
    assert waits, "it was not told to wait"
    return f"retried {len(waits)} times in {time.time() - began:.0f} s, told to wait {max(waits):.0f} s"


case("a sleeping model wakes", wakes)
case("models", lists)
case("a stream with usage", streams)
case("a wrong key", keys)
case("an unknown model", unknown)
case("an engine's own errors", engine_errors)
case("completions", legacy)
case("503 and Retry-After", impatient)
sys.exit(1 if failed else 0)
