"""Pod Security Standards, level "restricted", and the promises of this chart beyond it.

https://kubernetes.io/docs/concepts/security/pod-security-standards/"""

VOLUMES = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}


def faults(spec):
    """The violations of the level in a pod's spec."""
    found = []

    def must(holds, what):
        if not holds:
            found.append(what)

    pod = spec.get("securityContext", {})
    for host in ("hostNetwork", "hostPID", "hostIPC"):
        must(not spec.get(host), host)
    for volume in spec.get("volumes", []):
        must(set(volume) - {"name"} <= VOLUMES, f"volume {volume}")
    for container in spec.get("initContainers", []) + spec["containers"]:
        own = container.get("securityContext", {})
        name = container["name"]
        effective = {**pod, **own}
        must(not own.get("privileged"), f"{name}: privileged")
        must(own.get("allowPrivilegeEscalation") is False, f"{name}: allowPrivilegeEscalation")
        must(effective.get("runAsNonRoot") is True, f"{name}: runAsNonRoot")
        must(effective.get("runAsUser") != 0, f"{name}: runAsUser 0")
        seccomp = effective.get("seccompProfile", {}).get("type")
        must(seccomp in ("RuntimeDefault", "Localhost"), f"{name}: seccompProfile {seccomp}")
        capabilities = own.get("capabilities", {})
        must("ALL" in capabilities.get("drop", []), f"{name}: capabilities are not dropped")
        must(set(capabilities.get("add", [])) <= {"NET_BIND_SERVICE"}, f"{name}: capabilities are added")
        must(not any("hostPort" in port for port in container.get("ports", [])), f"{name}: hostPort")
        # Beyond the level.
        must(own.get("readOnlyRootFilesystem") is True, f"{name}: the root file system can be written")
    must("automountServiceAccountToken" in spec, "automountServiceAccountToken is left to the service account")
    return found
