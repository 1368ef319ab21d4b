"""Ways to write a path that leaves a folder, or names a device: what attackers have really sent."""

UPS = (
    "../",
    "..%2f",
    "%2e%2e/",
    "%2e%2e%2f",
    "..\\",
    "..%5c",
    "%252e%252e%252f",
    "..%c0%af",
    "....//",
    "..;/",
    "%00../",
)
TARGETS = ("etc/passwd", "pyproject.toml", "models/catalog.toml", "data/atelier.db")
TRAVERSALS = (
    *(up * depth + target for up in UPS for depth in (1, 4, 9) for target in TARGETS),
    *("/etc/passwd", "%2fetc%2fpasswd", "file:///etc/passwd", "C:%5cWindows%5cwin.ini", "%5c%5chost%5cshare", "~/.ssh"),
    *("CON", "NUL", "aux.png", "COM1", "/dev/zero", "%2fdev%2fzero", "/proc/self/environ", "%2fproc%2fself%2fenviron"),
    *(".", "..", "%2e", ".git/config", ".env", "%00", "a%00.png", "%0d%0aX-Evil:1", "%ff%fe", "%ed%a0%80", "%e2%80%ae"),
    *("http://127.0.0.1:1/", "http:%2f%2f127.0.0.1", "//evil.example/", "%2f%2fevil.example", "x" * 4000, "%2a", "*"),
)
