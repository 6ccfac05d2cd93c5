from mainspring.supervision.processes.pool import ProcessPool
from mainspring.testing.service_contract import ServiceContract


class TestProcessPoolAsService(ServiceContract):
    def make(self):
        return ProcessPool(1)
