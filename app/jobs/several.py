"""What all services on one table know of each other: who is there, and whether the queue is paused for all."""

from sqlalchemy import Connection, delete, func, insert, select

from app.database import services, switches

PAUSED = "paused"


def is_paused(connection: Connection) -> bool:
    """True while nothing may be started, by no service."""
    return connection.scalar(select(func.count()).select_from(switches).where(switches.c.name == PAUSED)) == 1


def set_paused(connection: Connection, paused: bool, now: float) -> None:
    """Pause or go on. Raises IntegrityError if another service pauses at this very moment."""
    if not paused:
        connection.execute(delete(switches).where(switches.c.name == PAUSED))
    elif not is_paused(connection):
        connection.execute(insert(switches).values(name=PAUSED, set_at=now))


def stay(connection: Connection, boot_id: str, devices: int, now: float, lease_s: float) -> int:
    """This service is there for `lease_s` more; the devices of all that are."""
    leave(connection, boot_id)
    connection.execute(delete(services).where(services.c.present_until < now))
    connection.execute(insert(services).values(id=boot_id, devices=devices, present_until=now + lease_s))
    return int(connection.scalar(select(func.sum(services.c.devices))) or devices)


def present(connection: Connection, now: float) -> int:
    """How many services are there; 1 on a table that is one service's alone."""
    there = select(func.count()).select_from(services).where(services.c.present_until >= now)
    return max(1, connection.scalar(there) or 0)


def leave(connection: Connection, boot_id: str) -> None:
    """This service is not there any more."""
    connection.execute(delete(services).where(services.c.id == boot_id))
