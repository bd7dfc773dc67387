"""The provider keys of the walk. All are made up; they only look like keys."""

OPENAI_PLATFORM = "sk-proj-SYNTHETIC-platform-0000000000000000-plat"
OPENAI_FIRST = "sk-proj-SYNTHETIC-workspace-000000000000000-frst"
OPENAI_SECOND = "sk-proj-SYNTHETIC-workspace-000000000000000-scnd"
OPENAI_BAD = "sk-proj-SYNTHETIC-unknown-00000000000000000-badd"
ANTHROPIC_GOOD = "sk-ant-api03-SYNTHETIC-workspace-0000000000-anth"
ANTHROPIC_BAD = "sk-ant-api03-SYNTHETIC-unknown-000000000000-bada"

# The keys that each provider accepts.
OPENAI_ACCEPTED = [OPENAI_PLATFORM, OPENAI_FIRST, OPENAI_SECOND]
ANTHROPIC_ACCEPTED = [ANTHROPIC_GOOD]

# Must appear only in a resolved credential.
ALL = [*OPENAI_ACCEPTED, OPENAI_BAD, *ANTHROPIC_ACCEPTED, ANTHROPIC_BAD]
