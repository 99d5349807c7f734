"""Make a stream, append to it, and read it with the protocol's own client.

pip install durable-streams && python follow.py http://127.0.0.1:8080/streams/steps
"""

import sys

from durable_streams import DurableStream, stream

url = sys.argv[1]
steps = DurableStream.create(url, content_type="application/json")
for step in range(1, 6):
    steps.append({"step": step, "of": 5})

# Any number of readers may do this, now or tomorrow, from any offset they had.
with stream(url, offset="-1", live=False) as reader:
    for message in reader.iter_json():
        print(f"{message['step']} of {message['of']}")
