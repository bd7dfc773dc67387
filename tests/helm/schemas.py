"""Whether the API server would accept an object: by the schemas of ten versions of Kubernetes, and of its
extensions."""

import functools
import json
import os
import pathlib

import jsonschema
import kubernetes_validate
import yaml
from referencing import Registry, Resource

VERSIONS = [f"1.{minor}" for minor in range(28, 38)]
KUBERNETES = pathlib.Path(kubernetes_validate.__file__).parent / "kubernetes-json-schema"

# Whose resource definition is in no registry that the tests can reach.
WITHOUT_SCHEMA = {("secrets-store.csi.x-k8s.io/v1", "SecretProviderClass")}


@functools.cache
def definitions(version):
    folder = KUBERNETES / f"v{version}.0-local-strict"
    return Resource.from_contents(json.loads((folder / "_definitions.json").read_text())) @ Registry()


@functools.cache
def kubernetes(version, api_version, kind):
    """The strict validator of a kind of Kubernetes' own; `None` if it is not one."""
    group, _, last = api_version.rpartition("/")
    prefix = f"{group.split('.')[0]}-" if group else ""
    file = KUBERNETES / f"v{version}.0-local-strict" / f"{kind.lower()}-{prefix}{last}.json"
    if not file.exists():
        return None
    return jsonschema.Draft202012Validator(json.loads(file.read_text()), registry=definitions(version))


def closed(schema):
    """The API server drops fields that a resource definition does not name; here each is a fault."""
    if isinstance(schema, dict):
        schema = {key: closed(value) for key, value in schema.items()}
        keeps = schema.get("x-kubernetes-preserve-unknown-fields")
        if isinstance(schema.get("properties"), dict) and "additionalProperties" not in schema and not keeps:
            schema["additionalProperties"] = False
        return schema
    return [closed(item) for item in schema] if isinstance(schema, list) else schema


@functools.cache
def extensions():
    """Validators of every resource definition that the tests have, by group, version and kind."""
    found = {}
    for file in pathlib.Path(os.environ["BYOKD_TEST_CRDS"]).glob("*.yaml"):
        for definition in yaml.safe_load_all(file.read_text()):
            if not definition:
                continue
            spec = definition["spec"]
            for version in spec["versions"]:
                schema = version["schema"]["openAPIV3Schema"]
                schema.get("properties", {}).setdefault("metadata", {}).clear()
                schema["properties"]["metadata"] = {"type": "object"}
                schema["properties"] |= {"apiVersion": {}, "kind": {}}
                key = (f"{spec['group']}/{version['name']}", spec["names"]["kind"])
                found[key] = jsonschema.Draft202012Validator(closed(schema))
    return found


def faults(document, version):
    """The objections of that version's API server to an object."""
    api_version, kind = document["apiVersion"], document["kind"]
    if (api_version, kind) in WITHOUT_SCHEMA:
        return []
    validator = kubernetes(version, api_version, kind) or extensions().get((api_version, kind))
    if validator is None:
        return [f"Kubernetes {version} has no {kind} of {api_version}"]
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(document)]
