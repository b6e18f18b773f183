"""The WebSocket side: listening, authentication, one link per station."""
