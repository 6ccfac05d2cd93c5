"""Collections of functions, and `g`."""

import asyncio
import threading

import pytest

from mainspring import TASK_HIGH, TASK_LOW, TASK_NORMAL, FunctionCollection, TaskCollection, g
from mainspring.errors import InvalidOption


@pytest.fixture(params=["one by one", "together"])
def collection(request, supervisor):
    def make(**options):
        if request.param == "one by one":
            return FunctionCollection(**options)
        return TaskCollection(supervisor=supervisor, **options)

    return make


def test_a_collection_gives_the_results_by_name(collection):
    functions = collection()

    @functions
    def one():
        return 1

    @functions(priority=TASK_LOW)
    def two():
        return 2

    assert one() == 1
    results, well = functions.execute()
    assert well
    assert sorted(results.values()) == [1, 2]
    assert functions() == functions.run() == results


def test_a_lower_priority_number_goes_first_zero_included():
    functions, order = FunctionCollection(), []
    for priority in (TASK_LOW, 0, TASK_HIGH, TASK_NORMAL):
        functions.append(lambda priority=priority: order.append(priority), priority=priority)
    functions.run()
    assert order == [0, TASK_HIGH, TASK_NORMAL, TASK_LOW]


def test_a_member_that_raises_does_not_stop_the_others(collection, caplog):
    told = []

    def on_error(error, why):
        told.append((type(error), why))

    functions = collection(on_error=on_error, on_error_kwargs={"why": "test"})
    functions.append(lambda: 1 / 0)
    functions.append(lambda: "fine")
    results, well = functions.execute()
    assert not well
    assert list(results.values()) == ["fine"]
    assert told == [(ZeroDivisionError, "test")]
    with_errors = collection(include_exceptions=True)
    with_errors.append(lambda: 1 / 0)
    assert isinstance(next(iter(with_errors.run().values())), ZeroDivisionError)
    assert "ZeroDivisionError" in caplog.text


def test_two_members_of_one_name_both_keep_their_results(collection):
    functions = collection()
    for number in range(3):
        functions.append(lambda number=number: number)
    assert sorted(functions.run().values()) == [0, 1, 2]


def test_a_member_can_be_removed(collection):
    functions = collection()
    functions.append(int)
    functions.remove(int)
    assert functions.run() == {}


def test_g_is_of_each_thread_its_own():
    g.word = "main"
    seen = []

    def look():
        seen.append(g.get("word", "nothing"))
        g.set("word", "thread")

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert seen == ["nothing"]
    assert g.word == "main"
    assert g.has("word")
    g.clear("word")
    with pytest.raises(AttributeError, match="word"):
        _ = g.word


def test_g_is_right_across_asyncio_tasks():
    async def work(number):
        g.number = number
        await asyncio.sleep(0.001 * (3 - number))
        return g.number

    async def live():
        g.number = "parent"
        numbers = await asyncio.gather(*(work(number) for number in range(3)))
        return [*numbers, g.number]

    assert asyncio.run(live()) == [0, 1, 2, "parent"]


def test_a_bound_method_can_be_removed_from_a_collection():
    collection, heard = FunctionCollection(), []
    collection.append(heard.clear)
    collection.remove(heard.clear)
    assert collection.run() == {}


def numbered(number):
    def one():
        if number == 1:
            raise OSError("no such door")
        return number

    return one


def test_a_member_that_raised_keeps_its_name_from_the_next(collection):
    functions = collection(on_error=lambda: None)
    for number in (1, 2, 3):
        functions.append(numbered(number))
    second, third = functions.run().items()
    assert (second[1], third[1]) == (2, 3)
    assert second[0].endswith("one#2")
    assert third[0].endswith("one#3")


async def later():
    return 7


def parts():
    yield


@pytest.mark.parametrize("function", [parts, 5])
def test_a_member_that_could_not_be_run_is_refused_before_others_begin(collection, function):
    with pytest.raises(InvalidOption, match="without a yield"):
        collection().append(function)


def test_a_priority_that_is_no_number_is_refused(collection):
    with pytest.raises(InvalidOption, match="priority"):
        collection().append(int, priority="high")


def test_an_async_member_is_for_a_collection_of_tasks(supervisor):
    with pytest.raises(InvalidOption, match="TaskCollection"):
        FunctionCollection().append(later)
    tasks = TaskCollection(supervisor=supervisor)
    tasks.append(later)
    assert list(tasks.run().values()) == [7]


def test_an_async_on_error_is_refused_since_nobody_would_await_it(collection):
    with pytest.raises(InvalidOption, match="on_error"):
        collection(on_error=later)
