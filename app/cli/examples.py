"""What each command looks like in use: shown at the end of its help."""

EXAMPLES: dict[str, tuple[str, ...]] = {
    "generate": (
        'generate "a red apple on a white table"',
        'generate "a blue bird" -n 4 --seed 7 --out birds/',
        'generate "a lighthouse" --model sdxl-turbo --steps 4 --cfg 0 --out light.png',
        "generate - < prompt.txt",
        'generate "a red apple" --style watercolour --style "paper cut"',
    ),
    "grid": (
        'grid "a red apple" --x "steps=1,2,4" --y "seed=1-3"',
        'grid "a red apple" --x "prompt_sr=red,green,blue" --y "prompt_sr=apple,cup" --seed 7 --out colours.png',
        "grid --sheet colours.png",
    ),
    "styles": ("styles", "styles --json"),
    "upscale": ("upscale apple.png", "upscale apple.png --scale 4 --out large.png"),
    "describe": ("describe apple.png", "describe apple.png --language zh"),
    "inspect": ("inspect picture.png", "inspect picture.png --json"),
    "backup": ("backup atelier-backup.db",),
    "restore": ("restore atelier-backup.db --yes",),
    "watch": ("watch drop/", "watch drop/ --model sdxl-turbo --parallel 2"),
    "doctor": ("doctor", "doctor --vram 8 --ram 32"),
    "jobs list": ("jobs list", "jobs list --state failed --limit 100", "jobs list --line --search apple"),
    "jobs show": ("jobs show 0193-job-id",),
    "jobs cancel": ("jobs cancel 0193-job-id 0194-job-id", "jobs cancel --all"),
    "jobs move": ("jobs move 0193-job-id front", "jobs move 0193-job-id up"),
    "jobs priority": ("jobs priority 0193-job-id 5", "jobs priority 0193-job-id -- -5"),
    "jobs clear": ("jobs clear",),
    "jobs pause": ("jobs pause",),
    "jobs resume": ("jobs resume",),
    "models list": ("models list", "models list --json"),
    "models load": ("models load sdxl-turbo",),
    "models unload": ("models unload sdxl-turbo",),
    "models download": ("models download sdxl-turbo", "models download owner/name"),
    "models clean": ("models clean", "models clean sdxl-turbo"),
    "library search": ("library search apple", "library search --model pocket --favourites --oldest --limit 100"),
    "library favourite": ("library favourite 0193-image-id", "library favourite --off 0193-image-id"),
    "library delete": ("library delete 0193-image-id", "library delete --forever 0193-image-id"),
    "library trash": ("library trash", "library trash --empty"),
    "library restore": ("library restore 0193-image-id",),
    "library rebuild": ("library rebuild",),
}


def examples(command: str) -> str:
    """The end of a command's help. Raises KeyError for a command without an example."""
    return "\n\n".join(["Examples:", *(f"atelier {line}" for line in EXAMPLES[command])])
