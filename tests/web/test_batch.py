import zipfile

from tests.server import png
from tests.web.conftest import TABLE


def test_pictures_with_one_instruction_each_are_edited_retried_and_fetched(person, screenshots):
    person.visit("#batch")
    files = [
        {"name": "one.png", "mimeType": "image/png", "buffer": TABLE.read_bytes()},
        {"name": "two.png", "mimeType": "image/png", "buffer": png(64, 48, 1)},
        {"name": "three.png", "mimeType": "image/png", "buffer": png(64, 48, 2)},
        {
            "name": "said.csv",
            "mimeType": "text/csv",
            "buffer": b'image,instruction\ntwo.png,"missing, it is"\n',
        },
    ]
    with person.page.expect_file_chooser() as chooser:
        person.page.get_by_role("button", name="Add pictures").click()
    chooser.value.set_files(files)
    person.page.get_by_label("Instruction for two.png").wait_for()
    assert person.page.get_by_label("Instruction for two.png").input_value() == "missing, it is"
    person.page.get_by_label("Instruction for all").fill("make it blue")
    person.page.get_by_role("button", name="Start 3").click()
    person.until("document.querySelector('.batch-counts').textContent.includes('completed')", 30)
    states = person.page.locator("tbody tr").evaluate_all("all => all.map(one => one.dataset.state)")
    assert states == ["succeeded", "failed", "succeeded"]
    person.page.wait_for_timeout(300)
    person.page.screenshot(path=screenshots / "batch.png", full_page=True)
    with person.page.expect_download() as download:
        person.page.get_by_role("button", name="Download zip").click()
    assert len(zipfile.ZipFile(download.value.path()).namelist()) == 2
    person.page.get_by_role("button", name="Retry failed").click()
    person.page.get_by_role("button", name="Retry failed").wait_for(state="detached")
    person.page.get_by_role("button", name="Retry failed").wait_for(timeout=20_000)
