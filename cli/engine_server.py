"""Program: the server of the engine that a command starts for itself, on a socket that the command has opened.

The socket takes connections from the start, and they are answered once the server is up: no port can be taken
meanwhile by another program, and the command need not import the server to start it.
"""

import gc
import signal
import socket
import sys


def main(listening: int) -> int:
    """Serve on the socket with the file descriptor `listening` until a signal; 3 if the server does not start."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C reaches all at the terminal: the command ends this then
    gc.disable()  # what is imported stays: to look through it again and again takes a fifth of the start
    import uvicorn

    config = uvicorn.Config("prefect.server.api.server:create_app", factory=True, log_level="error", lifespan="on")
    config.load()
    gc.enable()
    gc.freeze()
    server = uvicorn.Server(config)
    server.run(sockets=[socket.socket(fileno=listening)])
    return 0 if server.started else 3


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
