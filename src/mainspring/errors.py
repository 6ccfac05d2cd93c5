"""Every error mainspring raises of its own; each class owns its sentence and its fields.

MainspringError
├── UsageError                 what was written can't work; the sentence says what to write
│   ├── InvalidOption          (ValueError)    an option's value makes no sense
│   ├── UnknownOption          (TypeError)     an option that does not exist
│   ├── InvalidArguments       (TypeError)     arguments that do not fit a task, or can't be stored
│   ├── TaskNotImportable      (TypeError)     a task that another process could not find
│   ├── DuplicateName          (ValueError)    two tasks, workers or services of one name
│   ├── AppNotFound            (LookupError)   `module:attribute` does not lead where it should
│   ├── DuplicateTaskError     (ValueError)    two tasks of one pool with one id
│   ├── DuplicateJob           (ValueError)    a job whose unique key a live job bears already
│   ├── InvalidConnection      (ValueError)    a `conn=` whose transaction can't take a job
│   ├── NotRetryable           (RuntimeError)  a job that is live or completed can't run again
│   ├── InvalidPriority        (TypeError)     a priority that is no number
│   ├── MissingExtra           (ImportError)   what needs an extra that is not installed
│   ├── TargetNotAsync         (TypeError)     a plain function that returned a coroutine
│   ├── NotRunning             (RuntimeError)  asked of something that is not started, or closed
│   ├── WrongLoop              (RuntimeError)  asked from another thread or event loop
│   ├── AlreadyRunning         (RuntimeError)  a service that is run twice at once
│   └── UnguardedMain          (RuntimeError)  a main module that starts processes when imported
├── StoreError                 the store can't do it
│   ├── StoreBusy              another writer holds it for too long
│   ├── StoreUnusable          not ours, damaged, read-only, replaced, or of a newer version
│   │   ├── StoreUnreachable   its server does not answer, for now
│   │   └── StoreMigrated      a newer version took its tables while this process had them open
│   ├── LockNotAcquired        (TimeoutError)  a named lock was not to be had in time, or at all
│   ├── JobGone                (LookupError)   the job was purged or dropped
│   ├── ScheduleUnreadable     the store holds no sound value of a part of a schedule
│   └── LeaseLost              a node's claims were taken from it
├── ServiceFailed              a supervised service ended when it should not have
│   └── ChildStartFailed       the children of a process pool can't start
├── JobError                   what `JobHandle.result()` raises: JobFailed, JobCancelled
│   └── JobExpired             a JobCancelled that could not start in time
└── AttemptError               what an attempt failed of when it was not the task's own error
    ├── AttemptTimeout         (TimeoutError)  ran longer than its `timeout`
    ├── WorkerLost             the process that ran it died
    ├── ChildDied              the child process that ran a call died
    ├── ChildRaised            a call raised in its child what can't be pickled
    ├── UnreadableError        what the task raised can't be looked at
    ├── NotCommitted           a job was completed in a transaction that was not committed
    └── UnstorableResult       (TypeError)     what the task returned can't be stored
"""

from __future__ import annotations

LONGEST_VALUE = 300
"""Characters that a sentence shows of a value."""


class MainspringError(Exception):
    """The root of the tree: catch it to catch them all."""

    def __reduce__(self) -> tuple[object, ...]:
        """Have `pickle` and `copy` make it of its sentence and fields, not of what these were."""
        return type(self).__new__, (type(self),), {**vars(self), "args": self.args}


class UsageError(MainspringError):
    """A mistake in the program; the sentence says what to write instead."""


class InvalidOption(UsageError, ValueError):
    """An option's value makes no sense; `option` and `owner` name it.

    `expected` is a noun phrase for the values that do: "seconds above 0". Where the value is right
    in itself, `remedy` is the whole clause that says what to do, and `why` what is wrong with it.
    """

    def __init__(  # noqa: PLR0913  # the parts of its sentence
        self,
        option: str,
        value: object,
        *,
        owner: str,
        expected: str = "",
        why: str = "is not valid",
        remedy: str = "",
    ) -> None:
        self.option = option
        self.owner = owner
        self.expected = expected
        text = repr(value)
        text = text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}..."
        remedy = f"expected {expected}" if expected else remedy
        super().__init__(f"{owner}: {option}={text} {why}; {remedy}")


class UnknownOption(UsageError, TypeError):
    """An option that does not exist."""

    def __init__(self, option: str, *, owner: str, known: tuple[str, ...], ours: str = "") -> None:
        self.option, self.owner = option, owner
        parts = (f"{owner} has no option {option!r}", ours, f"it takes {', '.join(known)}")
        super().__init__("; ".join(part for part in parts if part))


class InvalidArguments(UsageError, TypeError):
    """Arguments that do not fit a task's signature, or that can't be stored."""


class TaskNotImportable(UsageError, TypeError):
    """A task that another process could not find under its module and name."""

    def __init__(self, task: str, why: str, remedy: str = "") -> None:
        self.task = task
        end = remedy or "define it at the top level of an importable module"
        super().__init__(f"task {task!r} can't be imported by another process: {why}; {end}")


class DuplicateName(UsageError, ValueError):
    """Two things that need different names bear one."""

    def __init__(self, name: str, *, kind: str, first: str, second: str, remedy: str = "") -> None:
        self.name = name
        remedy = remedy or "give one of them another name with name="
        super().__init__(f"two {kind}s are named {name!r}: {first} and {second}; {remedy}")


class AppNotFound(UsageError, LookupError):
    """`module:attribute` does not lead to what a command works with, a Queue or TaskSupervisor."""

    def __init__(self, app: str, kind: str, why: str) -> None:
        self.app = app
        super().__init__(f"{app!r} does not lead to a {kind}: {why}")


class DuplicateTaskError(UsageError, ValueError):
    """A pool has a task of that id already."""

    def __init__(self, task_id: str, state: str) -> None:
        self.task_id = task_id
        remedy = "choose another task_id, or give replace=True once it has finished"
        super().__init__(f"there is a {state} task with the id {task_id!r}; {remedy}")


class DuplicateJob(UsageError, ValueError):
    """A live job bears the unique key already; `job_id` is that job's.

    None: an earlier job of the same batch bears it, and nothing of the batch was kept.
    """

    def __init__(self, unique: str, job_id: str | None, why: str) -> None:
        self.unique = unique
        self.job_id = job_id
        take = 'take it as it is with on_conflict="return_existing"'
        super().__init__(
            f"an earlier job of the same batch bears the unique key {unique!r} {why}, so that "
            f"nothing of the batch was enqueued; enqueue it once, or {take}"
            if job_id is None
            else f"job {job_id} bears the unique key {unique!r} {why}; wait for its end, "
            f"cancel it, or {take}"
        )


class InvalidConnection(UsageError, ValueError):
    """The connection given as `conn=` can't take a job into its transaction."""

    def __init__(self, why: str, remedy: str) -> None:
        super().__init__(f"conn= can't be used: {why}; {remedy}")


class NotRetryable(UsageError, RuntimeError):
    """A job that is not failed or cancelled was to run again; `job_id` says which."""

    def __init__(self, job_id: str, task: str, state: str) -> None:
        self.job_id = job_id
        self.state = state
        why = "only failed and cancelled jobs can run again; enqueue another with delay()"
        super().__init__(f"job {job_id} ({task}) is {state}, and {why}")


class InvalidPriority(UsageError, TypeError):
    """A priority that is no number."""

    def __init__(self, priority: object, *, owner: str) -> None:
        super().__init__(f"{owner}: priority={priority!r} is not a number; lower is more urgent")


class MissingExtra(UsageError, ImportError):
    """A feature whose extra is not installed."""

    def __init__(self, what: str, extra: str) -> None:
        self.extra = extra
        remedy = f"run: pip install 'mainspring[{extra}]'"
        super().__init__(f"{what} needs an extra that is not installed; {remedy}")


class TargetNotAsync(UsageError, TypeError):
    """The target of a worker is a plain function, and returned a coroutine, which nobody awaits."""

    def __init__(self, worker: str, *, noun: str = "worker") -> None:
        self.worker = worker
        what = f"the target of {noun} {worker!r} is a plain function and returned a coroutine"
        remedy = "make it `async def`, and await the coroutine there"
        super().__init__(f"{what}, which nobody awaits; {remedy}")


class NotRunning(UsageError, RuntimeError):
    """Asked of something that is not started yet, or closed already."""


class WrongLoop(UsageError, RuntimeError):
    """Asked from a thread or an event loop that it does not live on."""

    def __init__(self, what: str) -> None:
        call = "asyncio.run_coroutine_threadsafe(coroutine, loop) with the loop it was started on"
        super().__init__(f"{what} lives on another event loop; from elsewhere call {call}")


class AlreadyRunning(UsageError, RuntimeError):
    """A service is run a second time while it runs."""

    def __init__(self, kind: str, name: str) -> None:
        self.name = name
        super().__init__(f"{kind} {name!r} runs already; close it and wait for its end first")


class UnguardedMain(UsageError, RuntimeError):
    """A child imports the program's main module, and that starts child processes itself."""

    def __init__(self) -> None:
        why = "a child process imports this main module and must not start processes by that"
        super().__init__(f'{why}; put what starts them under `if __name__ == "__main__":`')


class StoreError(MainspringError):
    """The store can't do what was asked; nothing acknowledged is lost by it."""


class StoreBusy(StoreError):
    """Another writer holds the store for longer than `busy_timeout`; `waited` is in seconds."""

    def __init__(self, store: str, waited: float, holder: str) -> None:
        self.store = store
        self.waited = waited
        what = f"{store} was locked by another writer for {waited:.1f} s ({holder})"
        super().__init__(f"{what}; end that transaction, or give the queue a longer busy_timeout")


class StoreUnusable(StoreError):
    """The store is not ours, damaged, read-only, replaced, or of a newer version."""

    def __init__(self, store: str, why: str, remedy: str) -> None:
        self.store = store
        self.why = why
        self.remedy = remedy
        super().__init__(f"{store} can't be used: {why}; {remedy}")


class StoreUnreachable(StoreUnusable):
    """The store's server does not answer, for now; whoever can wait tries again."""


class StoreMigrated(StoreUnusable):
    """A newer version has taken the store's tables away from this process, which had them open."""


class LockNotAcquired(StoreError, TimeoutError):
    """A named lock was not to be had within `wait`, or never would be; `name` says which."""

    def __init__(self, name: str, why: str, remedy: str) -> None:
        self.name = name
        super().__init__(f"lock {name!r} was not acquired: {why}; {remedy}")


class JobGone(StoreError, LookupError):
    """The job was purged or dropped; `job_id` says which."""

    def __init__(self, job_id: str, task: str | None = None) -> None:
        self.job_id = job_id
        of = f" ({task})" if task else ""
        super().__init__(f"job {job_id}{of} is not in the store any more")


class ScheduleUnreadable(StoreError):
    """The store holds no sound value of a part of a schedule, so it does not tick."""

    def __init__(self, schedule: str, fields: tuple[str, ...]) -> None:
        self.schedule = schedule
        self.fields = fields
        why = f"schedule {schedule!r} does not tick: its stored {', '.join(fields)} can't be read"
        remedy = "start a worker that declares it, or remove it with mainspring cron rm"
        super().__init__(f"{why}; {remedy}")


class LeaseLost(StoreError):
    """A node's claims were taken from it: it did not renew its lease in time."""

    def __init__(self, node: str) -> None:
        self.node = node
        super().__init__(f"node {node} did not renew its lease in time; its jobs run elsewhere now")


class ServiceFailed(MainspringError):
    """A supervised service ended when it should not have."""

    def __init__(self, service: str, why: str) -> None:
        self.service = service
        super().__init__(f"service {service!r} failed: {why}")


class ChildStartFailed(ServiceFailed):
    """The children of a process pool can't start; the sentence ends with why."""

    def __init__(self, pool: str, why: str) -> None:
        super().__init__(pool, f"its child processes can't start: {why}")


class JobError(MainspringError):
    """A job ended without a result; `job_id` says which."""

    def __init__(self, job_id: str, sentence: str) -> None:
        self.job_id = job_id
        super().__init__(sentence)


class JobFailed(JobError):
    """All attempts failed; `__cause__` carries the original type, message and traceback."""

    def __init__(self, job_id: str, task: str, reason: str) -> None:
        super().__init__(job_id, f"job {job_id} ({task}) failed: {reason}")


class JobCancelled(JobError):
    """The job was cancelled before it had a result."""

    def __init__(self, job_id: str, task: str, reason: str) -> None:
        super().__init__(job_id, f"job {job_id} ({task}) was cancelled: {reason}")


class JobExpired(JobCancelled):
    """The job's expiry passed before it could start."""


class AttemptError(MainspringError):
    """An attempt failed for a reason that is not the task's own error."""


class AttemptTimeout(AttemptError, TimeoutError):
    """The attempt ran longer than its `timeout` (seconds); `left` says what goes on behind it."""

    def __init__(self, task: str, timeout: float, left: str = "") -> None:
        self.timeout = timeout
        super().__init__(f"task {task!r} timed out after its timeout of {timeout:g} s{left}")


class WorkerLost(AttemptError):
    """The process that ran the attempt died; `crashes` says how often that has happened."""

    def __init__(self, task: str, crashes: int, evidence: str) -> None:
        self.crashes = crashes
        often = "once" if crashes == 1 else f"{crashes} times; the last"
        super().__init__(f"task {task!r} lost its worker {often}: {evidence}")


class ChildDied(AttemptError):
    """The child process that ran a call died; only that call is lost.

    `code` is its exit code, or minus the number of the signal that ended it; None: unknown.
    """

    def __init__(self, call: str, *, pid: int, code: int | None, evidence: str) -> None:
        self.pid = pid
        self.code = code
        self.evidence = evidence
        super().__init__(f"{call!r} lost its child process: {evidence}")


class ChildRaised(AttemptError):
    """A call raised in its child process what can't be pickled; its type and message are kept."""

    def __init__(self, call: str, kind: str, sentence: str) -> None:
        self.kind = kind
        super().__init__(f"{call!r} raised {kind}, which can't be pickled: {sentence}")


class UnreadableError(AttemptError):
    """An error that can't be looked at; `kind` is its class, `second` what looking raised."""

    def __init__(self, task: str, kind: str, second: str) -> None:
        self.kind = kind
        self.second = second
        super().__init__(f"task {task!r} raised {kind}, which raises {second} when looked at")


class NotCommitted(AttemptError):
    """The body completed its job in a transaction and returned without committing that."""

    def __init__(self, task: str) -> None:
        what = f"task {task!r} called current_job.complete_in() and returned without a commit"
        super().__init__(f"{what}; commit the transaction before the task returns")


class UnstorableResult(AttemptError, TypeError):
    """A return value that can't be stored."""

    def __init__(self, task: str, why: str) -> None:
        super().__init__(f"task {task!r} returned what can't be stored: {why}")
