"""Transports: `base` says what one is, `picows` is WebSocket, `memory` a pair for tests."""
