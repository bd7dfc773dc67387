"""The operator's catalog for the walk: the vendors' models, at the providers of this machine.

No model has a date on which it retires, so that nothing here goes red with the calendar.
"""

from __future__ import annotations

CATALOG = """\
version = "e2e-1"
default_model = "gpt-4o-mini"

[providers.openai]
protocol = "openai"
hosts = ["{openai}"]
headers = ["OpenAI-Organization", "OpenAI-Project"]
default_model = "gpt-4o-mini"
byo_fee = {{ unit = "USD", micros_per_call = 2000 }}

[providers.anthropic]
protocol = "anthropic"
hosts = ["{anthropic}"]
default_model = "claude-haiku"
byo_fee = {{ unit = "USD", micros_per_call = 2000 }}

[models."gpt-4o-mini"]
provider = "openai"
ids = [{{ id = "gpt-4o-mini-2024-07-18", aliases = ["gpt-4o-mini"] }}]
credits = {{ unit = "credits", micros_per_call = 1000000 }}
byo_fee = {{ unit = "USD", micros_per_call = 1000 }}

[models."gpt-4o"]
provider = "openai"
ids = [{{ id = "gpt-4o-2024-11-20", aliases = ["gpt-4o"] }}]
credits = {{ unit = "credits", micros_per_call = 5000000 }}
byo_fee = {{ unit = "USD", micros_per_call = 1000 }}

[models."gpt-6-luna"]
provider = "openai"
ids = [{{ id = "gpt-6-luna" }}]
credits = {{ unit = "credits", micros_per_call = 1000000 }}
byo_fee = {{ unit = "USD", micros_per_call = 1000 }}

[models."claude-haiku"]
provider = "anthropic"
ids = [{{ id = "claude-haiku-5-5" }}, {{ id = "claude-haiku-4-5-20251001", aliases = ["claude-haiku-4-5"] }}]
credits = {{ unit = "credits", micros_per_call = 1000000 }}
byo_fee = {{ unit = "USD", micros_per_call = 1000 }}

[models."claude-sonnet"]
provider = "anthropic"
ids = [{{ id = "claude-sonnet-5-5" }}, {{ id = "claude-sonnet-4-6" }}]
credits = {{ unit = "credits", micros_per_call = 5000000 }}
byo_fee = {{ unit = "USD", micros_per_call = 1000 }}

[purposes.training]
payer = "free"
"""


def catalog(openai: str, anthropic: str) -> str:
    return CATALOG.format(openai=openai, anthropic=anthropic)
