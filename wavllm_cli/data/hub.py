"""Whether the Hugging Face hub can be reached, found out once and within seconds."""

from wavllm_cli.errors import reason

PATIENCE = 5.0  # seconds

_found: dict[str, str | None] = {}  # by address: why it cannot be reached


def unreachable() -> str | None:
    """Why the hub cannot be reached, to stand in brackets; None where it can.

    A hub that cannot is not asked again by this process: its library would try six times for every file.
    """
    from huggingface_hub import constants, get_session

    address = constants.ENDPOINT
    if constants.is_offline_mode():
        return _found.get(address) or "HF_HUB_OFFLINE is set"
    if address not in _found:
        try:
            get_session().head(address, timeout=PATIENCE)
        except Exception as error:  # of its HTTP library, which has changed, and of the system
            _found[address] = reason(error)
            constants.HF_HUB_OFFLINE = True
        else:
            _found[address] = None
    return _found[address]
