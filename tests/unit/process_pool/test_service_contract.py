from mainspring.processes.pool import ProcessPool
from mainspring.testing.contracts.service import ServiceContract


class TestProcessPoolAsService(ServiceContract):
    def make(self):
        return ProcessPool(1)
