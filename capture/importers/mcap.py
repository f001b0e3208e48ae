"""MCAP files as a take: Foxglove's schemas in JSON or Protobuf, ROS 2's in CDR. Log time is the host's, a message's stamp the device's."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from firsthand.capture.errors import DamagedError, FirsthandError
from firsthand.capture.importers.mcap_pictures import LeftOut
from firsthand.capture.importers.mcap_topics import SAY, Messages, Topic, calibration_of, decoded, look, name_streams, samples
from firsthand.capture.intake import Asked, Found, Intake, Take
from firsthand.capture.places import without_places
from firsthand.capture.recording_writer import RecordingWriter
from firsthand.capture.source_labels import SourceLabels
from firsthand.capture.stream import Sample

STAGE = "import-mcap/1"
MAGIC = b"\x89MCAP0\r\n"
LARGEST_CHUNK = 2**30
TEXTS = ("task", "instruction", "language_instruction")
AGAIN = "copy it again, or make it whole with 'mcap recover'"


def mcap(source: Path, asked: Asked) -> Found | None:
    """A file that begins as MCAP does, or is called so; a ROS 2 bag in SQLite is told how to become one."""
    if not source.is_file():
        return None
    if source.suffix == ".db3":
        return Found((Take(source.stem, lambda intake: _refuse(source)),))
    with source.open("rb") as file:
        known = file.read(len(MAGIC)) == MAGIC
    return Found((Take(source.stem, lambda intake: _write(source, intake)),)) if known or source.suffix == ".mcap" else None


def _refuse(source: Path) -> None:
    raise FirsthandError(f"{source} is no RealSense recording; if it is a ROS 2 bag in SQLite, make an MCAP file of it with "
                         "'ros2 bag convert' (storage_id: mcap) and import that")


def _write(source: Path, intake: Intake) -> None:
    with _messages(source) as (reader, messages):
        topics, optics, left_out = look(source, messages, intake)
        total = sum(topic.count for topic in topics.values())
        named = name_streams(topics)
        calibration = calibration_of(optics, topics, left_out)
        said = _metadata(reader)
        if not intake.asked.keep_gps:
            said = without_places(said)
        labels = SourceLabels(next((said[key] for key in TEXTS if said.get(key)), ""),
                              {"true": True, "false": False, "1": True, "0": False}.get(said.get("success", "").lower()))
        if not named:
            raise DamagedError(f"cannot import {source}: there is no topic in it that firsthand reads"
                               + (f" ({'; '.join(f'{t}: {w}' for t, w in sorted(left_out.items())[:5])})" if left_out else ""))
        with intake.recording(STAGE, source="teleop", task=labels.instruction, calibration=calibration, left_out=left_out,
                              said=said) as writer:
            writer.add_stream(labels.spec)
            for spec in named:
                writer.add_stream(spec)
            start_ns = _copy(source, messages, topics, writer, lambda done: intake.progress(total + done, 2 * total))
            if start_ns is not None:
                for sample in labels.samples(start_ns):
                    writer.append(sample)


@contextmanager
def _messages(source: Path) -> Iterator[tuple[Any, Messages]]:
    """Yield the reader, and a function that goes through all messages by log time; chunks are checked against their CRC."""
    try:
        from mcap.exceptions import McapError
        from mcap.reader import SeekingReader
    except ImportError as error:
        raise FirsthandError("reading MCAP needs its packages; install them with: pip install 'firsthand[import]'") from error
    with source.open("rb") as stream:
        try:
            reader = SeekingReader(stream, validate_crcs=True, record_size_limit=LARGEST_CHUNK)
            summary = reader.get_summary()
            if summary is None:
                raise DamagedError(f"cannot import {source}: it has no index, so its recorder was stopped or it is cut off; {AGAIN}")
            if any(chunk.uncompressed_size > LARGEST_CHUNK for chunk in summary.chunk_indexes):
                raise DamagedError(f"cannot import {source}: a chunk claims more than {LARGEST_CHUNK} bytes")
            yield reader, lambda: reader.iter_messages(log_time_order=True)
        except FirsthandError:
            raise
        except (McapError, OSError, ValueError, KeyError, IndexError, RuntimeError, EOFError, MemoryError, UnicodeDecodeError,
                OverflowError, TypeError) as error:
            # struct.error, lz4's and zstd's are of these too; the library checks little before it uses it
            what = str(error).partition("\n")[0] or type(error).__name__
            raise DamagedError(f"cannot import {source}: it is cut off or damaged ({what}); {AGAIN}") from error
        except Exception as error:
            if type(error).__module__.partition(".")[0] in ("struct", "zstandard", "lz4", "mcap"):
                raise DamagedError(f"cannot import {source}: it is cut off or damaged ({error}); {AGAIN}") from error
            raise


def _copy(source: Path, messages: Messages, topics: dict[int, Topic], writer: RecordingWriter,
          progress: Callable[[int], None]) -> int | None:
    """Append every message; returns the first one's log time."""
    start_ns: int | None = None
    done = 0
    for _, channel, message in messages():
        topic = topics.get(channel.id)
        if topic is None or not topic.streams:
            continue
        if start_ns is None:
            start_ns = message.log_time
        found = decoded(source, topic, message)
        try:
            for part, stamp, data, flags in samples(topic, found):
                number = topic.sequence[part] = topic.sequence.get(part, -1) + 1
                device_ns = message.publish_time if stamp is None else stamp
                writer.append(Sample(topic.streams[part].name, device_ns, message.log_time, number, data, flags))
        except (ValueError, LeftOut, OverflowError) as error:
            raise DamagedError(f"cannot import {source}: a message of {topic.topic} is damaged ({error})") from error
        done += 1
        if done % SAY == 0:
            progress(done)
    return start_ns


def _metadata(reader: Any) -> dict[str, str]:
    """The file's own records of names and texts, as far as they are short."""
    said: dict[str, str] = {}
    for record in reader.iter_metadata():
        said.update({str(key): str(value) for key, value in record.metadata.items() if len(str(value)) <= 4096})
        if len(said) > 256:
            break
    return said
