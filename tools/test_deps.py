"""Install what tests use, outside the tree: Kafka's jars, PostgreSQL 15, PostgreSQL's JDBC driver.

What can't be installed here is said loudly, and its tests will be skipped.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.fixtures import jdbc, kafka, postgres  # noqa: E402

_POM = """<project><modelVersion>4.0.0</modelVersion>
<groupId>headwater</groupId><artifactId>kafka-broker</artifactId><version>1</version>
<packaging>pom</packaging><dependencies>
<dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId>
<version>{version}</version></dependency>
<dependency><groupId>org.slf4j</groupId><artifactId>slf4j-simple</artifactId>
<version>1.7.36</version></dependency>
</dependencies></project>
"""


def install_kafka() -> str | None:
    """Fetch Kafka's jars with Maven; return what went wrong."""
    library = kafka.library()
    if (library / ".complete").exists():
        return None
    if shutil.which("mvn") is None:
        return "Maven is missing"
    library.mkdir(parents=True, exist_ok=True)
    pom = library / "pom.xml"
    pom.write_text(_POM.format(version=kafka.VERSION))
    print(f"fetching Kafka {kafka.VERSION} into {library} …", flush=True)
    result = subprocess.run(
        [
            "mvn",
            "-q",
            "-B",
            "-ntp",
            "-f",
            str(pom),
            "dependency:copy-dependencies",
            "-DincludeScope=runtime",
            f"-DoutputDirectory={library / 'lib'}",
        ],
        stdin=subprocess.DEVNULL,
        check=False,
    )
    if result.returncode != 0:
        return "Maven could not fetch it"
    (library / ".complete").touch()
    return None


def install_jdbc() -> str | None:
    """Fetch the JDBC driver with Maven; return what went wrong."""
    jar = jdbc.jar()
    if jar.exists():
        return None
    if shutil.which("mvn") is None:
        return "Maven is missing"
    print(f"fetching the JDBC driver {jdbc.VERSION} into {jar.parent} …", flush=True)
    result = subprocess.run(
        [
            "mvn",
            "-q",
            "-B",
            "-ntp",
            "dependency:copy",
            f"-Dartifact=org.postgresql:postgresql:{jdbc.VERSION}",
            f"-DoutputDirectory={jar.parent}",
        ],
        stdin=subprocess.DEVNULL,
        check=False,
    )
    return None if result.returncode == 0 and jar.exists() else "Maven could not fetch it"


def install_postgres() -> str | None:
    """Install Debian's PostgreSQL 15 where we may; return what went wrong."""
    if postgres.missing() is None:
        return None
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        return postgres.missing()
    print("installing PostgreSQL 15 …", flush=True)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (
        ["apt-get", "update", "-q"],
        ["apt-get", "install", "-y", "-q", "--no-install-recommends", "postgresql-15"],
    ):
        result = subprocess.run(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            check=False,
        )
        if result.returncode != 0:
            return f"{' '.join(command)} failed"
    return postgres.missing()


def main() -> int:
    """Install everything; absence of a server is no failure, but is said."""
    for name, install in (
        ("Kafka", install_kafka),
        ("JDBC", install_jdbc),
        ("PostgreSQL", install_postgres),
    ):
        problem = install()
        if problem is not None:
            print(f"!! {name}: {problem}; its tests will be SKIPPED", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
