//! What can be done to a page, and what is told of it.

use browser::{Click, Destination, Direction, Spot};

use crate::desk::Desk;

#[test]
fn typing_makes_the_events_that_keys_make() {
    let (desk, _) = Desk::at(
        "<input id=i value=old aria-label=F onkeydown=\"window.downs=(window.downs||0)+1\" oninput=\"window.inputs=(window.inputs||0)+1\" onchange=\"window.changed=true\">\
         <form onsubmit=\"document.title='sent '+q.value;return false\"><input id=q aria-label=Q></form><div contenteditable=true>rich</div><input type=date aria-label=D>",
    );
    let field = desk.number("textbox: F");
    let told = desk.browser.input(Some(field), "new ü", false, false).unwrap();
    assert!(told.contains("textbox: F = new ü"), "{told}");
    assert_eq!(desk.script("[i.value, window.downs >= 5, window.inputs >= 5]"), r#"["new ü",true,true]"#);
    desk.browser.input(Some(field), "!", true, false).unwrap();
    assert_eq!(desk.script("i.value"), "new ü!");
    let search = desk.number("textbox: Q");
    let told = desk.browser.input(Some(search), "cats", false, true).unwrap();
    assert!(told.contains("Page \"sent cats\""), "{told}");
    assert_eq!(desk.script("window.changed"), "true");
    let long = "abcdefghij".repeat(100);
    desk.browser.input(Some(field), &long, false, false).unwrap();
    assert_eq!(desk.script("i.value.length"), "1000");
    let editor = desk.number("editor");
    desk.browser.input(Some(editor), "plain", false, false).unwrap();
    assert_eq!(desk.script("document.querySelector('div').textContent"), "plain");
    let date = desk.number("date: D");
    desk.browser.input(Some(date), "2026-11-25", false, false).unwrap();
    assert_eq!(desk.script("document.querySelector('[type=date]').value"), "2026-11-25");
    let odd = desk.browser.input(Some(date), "25 November", false, false).unwrap_err();
    assert!(odd.nothing_was_done() && odd.to_string().contains("YYYY-MM-DD"), "{odd}");
}

#[test]
fn what_is_covered_disabled_or_gone_is_not_clicked() {
    let (desk, _) = Desk::at(
        "<button id=a onclick=\"document.title='clicked'\">A</button><button disabled>B</button>\
         <div id=cover style='position:fixed;inset:0;background:#eee8'>Cookies? <button onclick=\"cover.remove()\">Accept</button></div>",
    );
    let number = desk.number("button: A");
    let covered = desk.browser.click(Spot::Element(number), Click::Once).unwrap_err();
    assert!(covered.nothing_was_done() && covered.to_string().contains("covered by \"div"), "{covered}");
    desk.click("button: Accept");
    let told = desk.browser.click(Spot::Element(number), Click::Once).unwrap();
    assert!(told.contains("Page \"clicked\"") || desk.script("document.title") == "clicked", "{told}");
    let disabled = desk.browser.click(Spot::Element(desk.number("button: B")), Click::Once).unwrap_err();
    assert!(disabled.to_string().contains("disabled"), "{disabled}");
}

#[test]
fn what_is_in_a_frame_is_clicked_there_or_not_at_all() {
    let inside = "<body style='margin:0'><p style='height:700px'>long</p><button onclick=\"parent.document.title = 'inside'\">In</button>";
    let desk = Desk::with(&[
        ("/in", inside),
        // Below the window, and in something of its own that scrolls.
        (
            "/below",
            "<p style='height:3000px'>far</p><div style='height:300px;overflow:auto'><p style='height:900px'>x</p><iframe src=/in width=300 height=900></iframe></div><p style='height:900px'>x",
        ),
        (
            "/under",
            "<title>u</title><iframe src=/in width=300 height=900></iframe><div style='position:fixed;inset:0' onclick=\"document.title='over'\">Cookies?</div>",
        ),
        (
            "/over",
            "<title>o</title><a href='#' onclick=\"document.title='link'\" style='position:relative;display:block'>Next<iframe src=/in style='opacity:0;inset:0;position:absolute;width:100%;height:100%'></iframe></a>",
        ),
    ]);
    desk.open("/below");
    desk.click("button: In");
    assert_eq!(desk.script("document.title"), "inside");
    desk.open("/under");
    let covered = desk.browser.click(Spot::Element(desk.number("button: In")), Click::Once).unwrap_err();
    assert!(covered.nothing_was_done() && covered.to_string().contains("covered by \"div Cookies?\""), "{covered}");
    desk.open("/over");
    let covered = desk.browser.click(Spot::Element(desk.number("link: Next")), Click::Once).unwrap_err();
    assert!(covered.to_string().contains("covered by \"iframe"), "{covered}");
    assert_eq!(desk.script("document.title"), "o");
}

#[test]
fn what_is_no_field_gets_the_keys_of_the_text_and_no_others() {
    let desk = Desk::with(&[
        ("/", "<div tabindex=0 id=d onkeydown='document.title += event.key'>row</div><script>d.focus()</script>"),
        (
            "/frame",
            "<iframe id=f srcdoc='<input value=old autofocus>'></iframe><script>f.onload = () => f.contentDocument.querySelector('input').focus()</script>",
        ),
    ]);
    desk.open("/");
    desk.browser.input(None, "a", false, false).unwrap();
    assert_eq!(desk.script("document.title"), "a");
    // A field in a frame is a field: what it holds gives way.
    desk.open("/frame");
    desk.browser.input(None, "new", false, false).unwrap();
    assert_eq!(desk.script("f.contentDocument.querySelector('input').value"), "new");
}

#[test]
fn a_password_that_a_person_typed_is_never_told() {
    let (desk, _) = Desk::at(
        "<input type=password aria-label=P onkeydown='event.preventDefault()'><input id=m type=password maxlength=8 aria-label=M onkeydown='event.preventDefault()'>\
         <script>document.querySelector('input').value = 'hunter2'; m.value = 'hunter2'</script>",
    );
    let told = desk.browser.input(Some(desk.number("password: P")), "x", true, false).unwrap();
    assert!(told.contains("keeps keys from element") && !told.contains("hunter2"), "{told}");
    assert_eq!(desk.script("document.querySelector('input').value"), "hunter2x");
    // One that takes no line is not told with what it holds.
    let refused = desk.browser.input(Some(desk.number("password: M")), "a\nb", true, false);
    assert!(!format!("{refused:?}").contains("hunter2"), "{refused:?}");
}

#[test]
fn a_value_that_a_field_does_not_take_leaves_the_one_it_had() {
    let (desk, _) = Desk::at(
        "<input type=date value=2026-01-02 aria-label=D oninput='document.title += \"!\"' onchange='document.title += \"!\"'>\
         <input type=color aria-label=C><input type=number value=7 aria-label=N onkeydown='event.preventDefault()'>\
         <select id=s aria-label=S><option>A<option disabled>B<optgroup disabled label=G><option>C</optgroup></select>",
    );
    let odd = desk.browser.input(Some(desk.number("date: D")), "2 January", false, false).unwrap_err();
    assert!(odd.nothing_was_done(), "{odd}");
    assert_eq!(desk.script("[document.querySelector('input').value, document.title]"), r#"["2026-01-02",""]"#);
    desk.browser.input(Some(desk.number("color: C")), "#FF8000", false, false).unwrap();
    assert!(desk.view().contains("color: C = #ff8000"));
    let odd = desk.browser.input(Some(desk.number("number: N")), "seven", false, false).unwrap_err();
    assert!(odd.nothing_was_done() && odd.to_string().contains("it holds \"7\""), "{odd}");
    let list = desk.number("select: S");
    assert!(desk.view().contains("A | B (disabled) | C (disabled)"), "{}", desk.view());
    for option in ["B", "C"] {
        let closed = desk.browser.select(list, &[option.to_owned()]).unwrap_err();
        assert!(closed.nothing_was_done() && closed.to_string().contains("is disabled"), "{closed}");
    }
    assert_eq!(desk.script("s.value"), "A");
}

#[test]
fn a_control_that_its_page_hides_is_worked_by_its_label() {
    let (desk, _) = Desk::at(
        "<style>.gone{position:absolute;opacity:0;width:0;height:0}.clip{position:absolute;width:1px;height:1px;overflow:hidden;clip:rect(0 0 0 0)}</style>\
         <label><input type=checkbox class=gone id=c><span>I agree</span></label>\
         <input type=radio name=r id=r hidden><label for=r>Red</label>\
         <label for=f>Attach</label><input type=file id=f style='display:none' onchange='document.title = this.files[0].name'>\
         <label for=t>Size</label><select id=t hidden><option>L</select><label class=x>Name <input></label>\
         <label><input type=checkbox class=clip disabled> Later</label>",
    );
    let view = desk.view();
    for told in [
        "checkbox: I agree, not checked]",
        "radio: Red, not checked]",
        "file: Attach]",
        "] Size ",
        "Later, not checked, disabled]",
    ] {
        assert!(view.contains(told), "{told}: {view}");
    }
    assert!(view.contains("textbox: Name]") && !view.contains("Name ["), "{view}");
    let told = desk.click("checkbox: I agree");
    assert!(told.contains("checkbox: I agree, checked"), "{told}");
    desk.click("radio: Red");
    assert_eq!(desk.script("[c.checked, r.checked]"), "[true,true]");
    let later = desk.browser.click(Spot::Element(desk.number("checkbox: Later")), Click::Once).unwrap_err();
    assert!(later.to_string().contains("disabled"), "{later}");
    // Files go to the field itself, with or without a click.
    std::fs::write(desk.computer.browser_folders().uploads.join("a.txt"), "content").unwrap();
    let field = desk.browser.upload_field(Some(desk.number("file: Attach"))).unwrap().unwrap();
    desk.browser.upload(&field, &["/uploads/a.txt".to_owned()]).unwrap();
    assert_eq!(desk.script("document.title"), "a.txt");
    desk.click("file: Attach");
    assert!(desk.browser.wants_files());
}

#[test]
fn the_mouse_clicks_twice_drags_and_scrolls_what_it_is_over() {
    let (desk, _) = Desk::at(
        "<style>body{margin:0}</style><div id=box style='width:50px;height:50px;position:absolute;left:20px;top:20px;background:#00f' tabindex=0>box</div>\
         <div id=list tabindex=0 role=listbox aria-label=L style='position:absolute;top:200px;height:100px;width:200px;overflow:auto'><p style='height:2000px'>long</div>\
         <script>let d=null;box.onmousedown=e=>d=[e.clientX-box.offsetLeft,e.clientY-box.offsetTop];onmouseup=()=>d=null;\
         onmousemove=e=>{if(d){box.style.left=e.clientX-d[0]+'px';box.style.top=e.clientY-d[1]+'px'}};box.ondblclick=()=>document.title='twice';\
         box.oncontextmenu=e=>{e.preventDefault();document.title='menu'}</script>",
    );
    let told = desk.browser.move_mouse(Spot::Point(45.0, 45.0), false).unwrap();
    assert!(told.contains("x 45, y 45"), "{told}");
    desk.browser.move_mouse(Spot::Point(145.0, 75.0), true).unwrap();
    assert_eq!(desk.script("[box.style.left, box.style.top]"), r#"["120px","50px"]"#);
    desk.browser.click(Spot::Point(145.0, 75.0), Click::Twice).unwrap();
    assert_eq!(desk.script("document.title"), "twice");
    desk.browser.click(Spot::Point(145.0, 75.0), Click::Right).unwrap();
    assert_eq!(desk.script("document.title"), "menu");
    let list = desk.number("listbox: L");
    let told = desk.browser.scroll(Some(list), Direction::Down, true).unwrap();
    assert!(told.starts_with("Scrolled from 0 to "), "{told}");
    assert_eq!(desk.script("list.scrollTop + list.clientHeight >= list.scrollHeight - 1"), "true");
    assert_eq!(desk.script("scrollY"), "0");
}

#[test]
fn what_can_be_dragged_is_dropped_where_it_was_dragged_to() {
    let (desk, _) = Desk::at(
        "<style>body{margin:0} div{position:absolute;top:20px;width:50px;height:50px}</style>\
         <div draggable=true ondragstart=\"event.dataTransfer.setData('text/plain','card')\" ondragend='window.ends=(window.ends||0)+1'>A</div>\
         <div style='left:300px' ondragover='event.preventDefault()' ondrop=\"window.drops=(window.drops||0)+1;this.title=event.dataTransfer.getData('text/plain')\">B</div>",
    );
    // More than once, for a page is told of a drag by another way than of the mouse.
    for round in 1..=10 {
        desk.browser.move_mouse(Spot::Point(25.0, 45.0), false).unwrap();
        desk.browser.move_mouse(Spot::Point(325.0, 45.0), true).unwrap();
        assert_eq!(
            desk.script("[drops, ends, document.querySelectorAll('div')[1].title]"),
            format!(r#"[{round},{round},"card"]"#)
        );
    }
}

#[test]
fn a_field_that_the_page_keeps_keys_from_is_set_and_that_is_told() {
    let (desk, _) = Desk::at(
        "<input aria-label=Spin value=0 onkeydown='event.preventDefault()' oninput='document.title=\"in \"+value'>\
         <input aria-label=Tags onkeyup=\"if (value.endsWith(',')) { document.title += '+' + value; value = '' }\"><input type=number aria-label=Age>",
    );
    let told = desk.browser.input(Some(desk.number("textbox: Spin")), "-5", false, false).unwrap();
    assert!(told.contains("keeps keys from element") && told.contains("Spin = -5"), "{told}");
    assert_eq!(desk.script("document.title"), "in -5");
    // What was taken and put elsewhere is not set once more.
    desk.browser.input(Some(desk.number("textbox: Tags")), "a,b,", false, false).unwrap();
    assert_eq!(desk.script("document.title"), "in -5+a,+b,");
    let refused = desk.browser.input(Some(desk.number("number: Age")), "old", false, false).unwrap_err();
    assert!(refused.to_string().contains("did not take \"old\""), "{refused}");
}

#[test]
fn options_are_chosen_by_what_they_are_called() {
    let (desk, _) = Desk::at(
        "<select id=s aria-label=One onchange=\"document.title=s.value\"><option value=1>Red<option value=2>Green</select>\
         <select id=m multiple aria-label=Some><option>A<option>B<option>C</select>",
    );
    let (one, some) = (desk.number("select: One"), desk.number("multiselect: Some"));
    let told = desk.browser.select(one, &["green".to_owned()]).unwrap();
    assert!(told.starts_with("Chosen in element") && told.contains("Green"), "{told}");
    assert_eq!(desk.script("document.title"), "2");
    desk.browser.select(some, &["A".to_owned(), "C".to_owned()]).unwrap();
    assert_eq!(desk.script("Array.from(m.selectedOptions).map(o => o.text)"), r#"["A","C"]"#);
    let none = desk.browser.select(one, &["Blue".to_owned()]).unwrap_err();
    assert!(none.nothing_was_done() && none.to_string().contains("\"Red\" | \"Green\""), "{none}");
    assert!(desk.browser.select(one, &["Red".to_owned(), "Green".to_owned()]).is_err());
    let click = desk.browser.click(Spot::Element(one), Click::Once).unwrap_err();
    assert!(click.to_string().contains("browser_select_option"), "{click}");
}

#[test]
fn dialogs_are_told_and_answered() {
    let (mut desk, _) = Desk::at(
        "<button onclick=\"alert('Saved.');document.title='alerted'\">A</button><button onclick=\"document.title='said '+confirm('Delete?')\">C</button>\
         <button onclick=\"document.title='named '+prompt('Name?')\">P</button>",
    );
    let told = desk.click("button: A");
    assert!(told.contains("Saved.") && told.contains("which was closed"), "{told}");
    assert_eq!(desk.script("document.title"), "alerted");
    let told = desk.click("button: C");
    assert!(told.contains("Delete?") && told.contains("Escape for no"), "{told}");
    // Nothing else can be done meanwhile, and that is told too.
    assert!(desk.view().contains("Delete?"));
    assert_eq!(desk.browser.click(Spot::Point(5.0, 5.0), Click::Once), Err(browser::Error::Dialog));
    desk.browser.press("Escape").unwrap();
    assert_eq!(desk.script("document.title"), "said false");
    desk.click("button: C");
    desk.browser.press("Enter").unwrap();
    assert_eq!(desk.script("document.title"), "said true");
    desk.click("button: P");
    desk.browser.input(None, "Ann", false, false).unwrap();
    assert_eq!(desk.script("document.title"), "named Ann");
    // A question that an engine left open waits for the next one, and the next but one, and numbers stay what they were.
    let number = desk.number("button: C");
    desk.click("button: C");
    desk.restarted();
    assert!(desk.view().contains("Delete?"));
    desk.restarted();
    assert!(desk.browser.dialog().unwrap().contains("Delete?"));
    desk.browser.press("Enter").unwrap();
    assert_eq!((desk.script("document.title"), desk.number("button: C")), ("said true".to_owned(), number));
    desk.script("document.body.insertAdjacentHTML('beforeend', '<button>New</button>'); 1");
    assert!(desk.number("button: New") > desk.number("button: P"));
    // One that is over by then is not asked again, and what a page says with one way to answer is answered.
    desk.click("button: A");
    desk.restarted();
    assert!(desk.browser.dialog().is_none() && desk.view().contains("button: A"));
}

#[test]
fn a_question_that_nobody_answered_is_never_answered_with_yes() {
    let (desk, _) =
        Desk::at("<input aria-label=F><button onclick=\"if (confirm('Delete all?')) fetch('/deleted')\">D</button>");
    let field = desk.number("textbox: F");
    desk.click("button: D");
    for element in [Some(field), None] {
        assert_eq!(desk.browser.input(element, "x", false, false), Err(browser::Error::Dialog));
    }
    assert!(desk.browser.dialog().is_some_and(|question| question.contains("Delete all?")));
    let told = desk.open("/asked");
    assert!(told.contains("asked for: /") && !told.contains("/deleted"), "{told}");
    // A person who goes elsewhere says as little.
    desk.open("/");
    desk.click("button: D");
    desk.browser.travel(&browser::Going::Address("http://127.0.0.1:8000/asked".to_owned())).unwrap();
    let told = desk.view();
    assert!(told.contains("asked for: /") && !told.contains("/deleted"), "{told}");
}

#[test]
fn tabs_open_close_and_are_gone_back_to() {
    let desk = Desk::with(&[
        ("/", "<title>First</title><a href='/two' target=_blank>open</a><a href='/three'>go</a>"),
        ("/two", "<title>Second</title><p>second page</p>"),
        ("/three", "<title>Third</title><p>third page</p>"),
    ]);
    desk.open("/");
    let told = desk.click("link: open");
    assert!(told.contains("A new tab was opened (tab 2)"), "{told}");
    // On a busy machine what it opened with may not be there yet.
    let mut view = told;
    while !view.contains("second page") {
        view = desk.view();
    }
    assert!(view.contains("Tabs: 1 \"First\", 2 (shown) \"Second\""), "{view}");
    let told = desk.browser.navigate(&Destination::Tab(1)).unwrap();
    assert!(told.contains("Page \"First\""), "{told}");
    desk.click("link: go");
    let told = desk.browser.navigate(&Destination::Back).unwrap();
    assert!(told.contains("Page \"First\""), "{told}");
    let told = desk.browser.navigate(&Destination::Forward).unwrap();
    assert!(told.contains("third page"), "{told}");
    desk.browser.navigate(&Destination::Tab(2)).unwrap();
    let told = desk.browser.navigate(&Destination::CloseTab).unwrap();
    assert!(told.contains("Tab 2 was closed; tab 1 is shown now.") && told.contains("third page"), "{told}");
    assert!(desk.browser.navigate(&Destination::Tab(9)).is_err());
}

#[test]
fn scripts_give_values_elements_and_errors() {
    let (desk, _) = Desk::at(
        "<button id=a>A</button><button>B</button><script>console.log('hi', {a: 1}); console.error('bad'); setTimeout(() => { throw new Error('late') })</script>",
    );
    assert_eq!(desk.script("1 + 1"), "2");
    assert_eq!(desk.script("({a: [1, 'x'], m: new Map([['k', 1]])})"), r#"{"a":[1,"x"],"m":{"k":1}}"#);
    assert_eq!(desk.script("await new Promise(done => setTimeout(() => done('waited'), 50))"), "waited");
    assert!(desk.script("throw new TypeError('no')").starts_with("Error: TypeError: no"), "{}", desk.script("throw 1"));
    let a = desk.number("button: A");
    assert_eq!(desk.script("document.getElementById('a')"), format!("[{a} button: A]"));
    assert_eq!(desk.script("document.querySelectorAll('button')").lines().count(), 2);
    assert_eq!(desk.script("const o = {}; o.o = o; o"), r#"{"o":"(again)"}"#);
    let console = desk.browser.console(50, 5_000).unwrap();
    assert!(console.contains("| log: hi") && console.contains("| error: bad") && console.contains("late"), "{console}");
    assert!(!console.contains("waited"));
}

#[test]
fn files_are_asked_for_and_given() {
    let (desk, _) = Desk::at(
        "<form method=post action=/got enctype=multipart/form-data><input type=file name=f id=f hidden onchange=\"document.title=this.files[0].name\"><button type=button onclick='f.click()'>Choose</button><input type=submit value=Send></form>",
    );
    let told = desk.click("button: Choose");
    assert!(desk.browser.wants_files(), "{told}");
    // It takes what is typed, until it is closed.
    assert!(desk.browser.upload_field(None).unwrap().is_some() && desk.view().contains("asks for files and waits"));
    let told = desk.browser.press("Escape").unwrap();
    assert!(told.contains("Closed the file chooser") && !told.contains("asks for files"), "{told}");
    assert!(desk.browser.upload_field(None).unwrap().is_none());
    desk.click("button: Choose");
    desk.open("/");
    assert!(!desk.browser.wants_files());
    desk.click("button: Choose");
    let uploads = desk.computer.browser_folders().uploads;
    std::fs::write(uploads.join("a.txt"), "content").unwrap();
    let field = desk.browser.upload_field(None).unwrap().unwrap();
    assert!(!field.many);
    assert!(desk.browser.upload(&field, &["/uploads/a.txt".to_owned(), "/uploads/a.txt".to_owned()]).is_err());
    desk.browser.upload(&field, &["/uploads/a.txt".to_owned()]).unwrap();
    assert_eq!(desk.script("document.title"), "a.txt");
    let told = desk.click("button: Send");
    assert!(told.contains("content"), "{told}");
}

#[test]
fn a_frame_of_another_site_is_given_files_too() {
    let desk = Desk::with(&[
        ("/", "<iframe src='http://localhost:8000/in' width=400 height=200></iframe>"),
        (
            "/in",
            "<input type=file id=f hidden onchange=\"b.textContent = 'got ' + this.files[0].name\"><button id=b onclick='f.click()'>Choose</button>",
        ),
    ]);
    desk.open("/");
    let told = desk.click("button: Choose");
    assert!(told.contains("asks for files and waits"), "{told}");
    std::fs::write(desk.computer.browser_folders().uploads.join("a.txt"), "content").unwrap();
    let field = desk.browser.upload_field(None).unwrap().unwrap();
    let told = desk.browser.upload(&field, &["/uploads/a.txt".to_owned()]).unwrap();
    assert!(told.contains("button: got a.txt"), "{told}");
}

#[test]
fn what_is_downloaded_is_told_with_the_name_the_page_gave() {
    let (desk, _) =
        Desk::at("<a href='/file?name=report.csv'>get</a><a href='/file?bytes=200000&name=b.bin' download>big</a>");
    desk.click("link: get");
    // It may begin a moment after the click was told.
    let mut downloads = Vec::new();
    while downloads.is_empty() {
        desk.browser.wait_for_downloads(std::time::Duration::from_secs(20)).unwrap();
        downloads = desk.browser.take_downloads();
        std::thread::park_timeout(std::time::Duration::from_millis(20));
    }
    let [download] = &downloads[..] else { panic!("one download: {downloads:?}") };
    assert_eq!(
        (download.suggested.as_str(), download.bytes, download.progress),
        ("report.csv", 9, browser::Progress::Done)
    );
    let file = desk.computer.browser_folders().downloads.join(&download.file);
    assert_eq!(std::fs::read(file).unwrap(), b"xxxxxxxxx");
    assert!(desk.browser.take_downloads().is_empty());
}
