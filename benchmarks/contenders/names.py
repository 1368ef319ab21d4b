"""What the contenders are called, in the tables too."""

FLOAT32, TUNED, OPENVINO = "plain float32", "plain bfloat16, channels last", "plain openvino"
FLASK, SCOPED = "Flask and a lock, float32", "as diffusers' server example, float32"
SERVERS = (FLASK, SCOPED)
IN_PROCESS, SERVICE, SERVICE_TORCH = "ours, in process", "ours, over HTTP", "ours, over HTTP, torch"
