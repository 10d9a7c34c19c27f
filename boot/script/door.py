"""Demands the key on every path but the probes': the engine's own check leaves some of its doors open."""
import hashlib, hmac, os


class Door:
    def __init__(self, app):
        self.app, self.key = app, hashlib.sha256(os.environ["VLLM_API_KEY"].encode()).digest()

    async def __call__(self, scope, receive, send):
        if scope["type"] == "lifespan" or scope.get("path") in ("/health", "/ping") or scope.get("method") == "OPTIONS":
            return await self.app(scope, receive, send)
        said = dict(scope["headers"]).get(b"authorization", b"")
        if said[:7].lower() == b"bearer " and hmac.compare_digest(hashlib.sha256(said[7:].strip()).digest(), self.key):
            return await self.app(scope, receive, send)
        if scope["type"] == "websocket":
            return await send({"type": "websocket.close", "code": 1008})
        await send({"type": "http.response.start", "status": 401, "headers": [(b"content-type", b"application/json")]})
        await send({"type": "http.response.body", "body": b'{"error":"Unauthorized"}'})
