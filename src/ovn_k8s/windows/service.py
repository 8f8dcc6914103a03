# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""The Windows service `ovn-k8s`.

`python -m ovn_k8s.windows.service` is what the service control manager starts; with `install` or `remove` it registers
the service or takes it away. It starts with the machine, and is restarted when it ends without having been told to.
"""

from __future__ import annotations

import logging
import logging.handlers
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pywintypes
import servicemanager
import win32service
import win32serviceutil
import winerror

from ovn_k8s.cni.answer import Handler
from ovn_k8s.core.hns.errors import HnsError

from .agent import Agent
from .api import Api
from .cni_service import CniService
from .config import DOCKER, NETWORK, OVS, TRANSPARENT_NETWORK, ConfigError, NodeConfig, load
from .docker_api import Docker
from .docker_pods import DockerPods
from .docker_service import DockerPipe
from .folders import data_folder, private
from .hcn_library import HcnLibrary
from .logical_ports import LogicalPorts
from .machine.errors import MachineError
from .machine.service_control import ServiceControl
from .machine.services import Service as Registration
from .nodes import Nodes
from .pod_endpoint import Endpoints
from .pod_network import PodNetwork
from .sandboxes import Sandboxes

LOG = logging.getLogger(__name__)

NAME = "ovn-k8s"
DISPLAY_NAME = "ovn-k8s: pod network of this node"
DESCRIPTION = "Keeps the HNS networks of this Kubernetes node and gives pods their endpoints."
RESTART_MS = (1_000, 5_000, 30_000)
STOP_SECONDS = 10.0
LOG_BYTES, LOG_FILES = 5 << 20, 5


class _EventLog(logging.Handler):
    """Errors go to the event log too, where people of Windows look."""

    def emit(self, record: logging.LogRecord) -> None:
        servicemanager.LogErrorMsg(self.format(record))


def _start_logging() -> None:
    folder = data_folder() / "log"
    private(folder)
    file = logging.handlers.RotatingFileHandler(
        folder / "ovn-k8s.log", maxBytes=LOG_BYTES, backupCount=LOG_FILES, encoding="utf-8"
    )
    file.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    events = _EventLog(logging.ERROR)
    events.setFormatter(logging.Formatter("%(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[file, events])


class DockerFollower:
    """The pods of the Docker Engine, followed on a thread of its own."""

    def __init__(
        self,
        library: HcnLibrary,
        config: NodeConfig,
        sandboxes: Sandboxes,
        logical: LogicalPorts | None,
        failed: Callable[[], None],
    ) -> None:
        self._pipe = DockerPipe(config.docker_pipe)
        endpoints = Endpoints(library, config, TRANSPARENT_NETWORK if logical else NETWORK)
        self.pods = DockerPods(Docker(self._pipe), endpoints, library, sandboxes, logical, failed)
        self._thread = threading.Thread(target=self.pods.run, name="docker", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """End it, after what is under way."""
        self.pods.stop()
        self._pipe.stop()
        self._thread.join(timeout=STOP_SECONDS)


class Service(win32serviceutil.ServiceFramework):  # type: ignore[misc]
    """The service, as the service control manager sees it."""

    _svc_name_ = NAME

    def __init__(self, args: list[str]) -> None:
        super().__init__(args)
        self._agent: Agent | None = None
        self._cni: CniService | None = None
        self._nodes: Nodes | None = None
        self._docker: DockerFollower | None = None
        self._logical: LogicalPorts | None = None
        self._settle: Callable[[], bool] = lambda: False
        self._told_to_stop = threading.Event()

    def SvcRun(self) -> None:
        """As in the base class, but a failure whose reason we know ends with an exit code and no traceback."""
        self.ReportServiceStatus(win32service.SERVICE_RUNNING)
        _start_logging()
        try:
            self._run()
        except (ConfigError, HnsError) as error:
            LOG.error("%s", error)
            code = winerror.ERROR_SERVICE_SPECIFIC_ERROR
            self.ReportServiceStatus(win32service.SERVICE_STOPPED, win32ExitCode=code, svcExitCode=1)
        except Exception:
            LOG.exception("the service ends by an error that nobody foresaw")
            raise
        else:
            self.ReportServiceStatus(win32service.SERVICE_STOP_PENDING)

    def _run(self) -> None:
        folder = data_folder()
        config = load(folder / "node.toml")
        library = HcnLibrary()
        version = library.version()
        self._cni = CniService(self._pods(library, config, folder))
        if self._logical is not None:
            self._logical.start()
            self._agent = Agent(library, config, logical=self._logical, settle=self._settle)
        elif config.kubernetes is not None:
            self._nodes = Nodes(Api(config.kubernetes), config.node_name, self._look)
            self._agent = Agent(library, config, self._nodes.peers, self._nodes.announce, settle=self._settle)
            self._nodes.start()
        else:
            LOG.warning("node.toml has no [kubernetes]: there will be no routes to other nodes")
            self._agent = Agent(library, config, settle=self._settle)
        keeper = threading.Thread(target=self._agent.run, name="networks")
        keeper.start()
        LOG.info("started on node %s, HNS %s, pods in %s", config.node_name, version, config.node_subnet)
        if self._told_to_stop.is_set():
            self.SvcStop()
        self._cni.serve()
        if self._docker is not None:
            self._docker.stop()
        if self._logical is not None:
            self._logical.stop()
        if self._nodes is not None:
            self._nodes.stop()
        self._agent.stop()
        keeper.join()
        LOG.info("stopped")

    def _pods(self, library: HcnLibrary, config: NodeConfig, folder: Path) -> Handler:
        """Who answers CNI: the pods of containerd, or those of Docker, which are followed as well."""
        sandboxes = Sandboxes(folder / ("pods" if config.runtime == DOCKER else "sandboxes"))
        if config.datapath == OVS and config.southbound is not None:
            # When the machine starts, Open vSwitch may come after this service.
            self._logical = LogicalPorts(config, config.southbound, config.openvswitch, self._look)
        if config.runtime != DOCKER:
            pods = PodNetwork(library, config, sandboxes, self._logical)
            self._settle = pods.settle
            return pods.handle
        self._docker = DockerFollower(library, config, sandboxes, self._logical, self._look)
        self._settle = self._docker.pods.settle
        self._docker.start()
        return self._docker.pods.handle

    def _look(self) -> None:
        if self._agent is not None:
            self._agent.look()

    def SvcStop(self) -> None:
        self.ReportServiceStatus(win32service.SERVICE_STOP_PENDING, waitHint=30_000)
        self._told_to_stop.set()
        if self._agent is not None:
            self._agent.stop()
        if self._cni is not None:
            self._cni.stop()

    SvcShutdown = SvcStop


def install(depends: list[str]) -> None:
    """Register the service, or bring it up to date. It is not started. Raises MachineError."""
    wanted = Registration(
        NAME,
        command=f'"{Path(sys.executable)}" -m ovn_k8s.windows.service',
        display_name=DISPLAY_NAME,
        description=DESCRIPTION,
        depends=tuple(depends),
        recovery_ms=RESTART_MS,
    )
    control = ServiceControl()
    if control.settings(NAME) is None:
        control.create(wanted)
    else:
        control.change(wanted)


def remove() -> None:
    """Take the service away; one that runs goes when it has stopped."""
    try:
        win32serviceutil.RemoveService(NAME)
    except pywintypes.error as error:
        if error.winerror != winerror.ERROR_SERVICE_DOES_NOT_EXIST:
            raise


def main() -> int:
    """Run as the service, or `install [--depends NAME]...`, or `remove`; the exit status."""
    arguments = sys.argv[1:]
    if not arguments:
        servicemanager.Initialize(NAME, None)
        servicemanager.PrepareToHostSingle(Service)
        servicemanager.StartServiceCtrlDispatcher()
        return 0
    if arguments[0] == "install" and all(word == "--depends" for word in arguments[1::2]):
        try:
            install(arguments[2::2])
        except MachineError as error:
            print(error, file=sys.stderr)
            return 1
        return 0
    if arguments == ["remove"]:
        remove()
        return 0
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
