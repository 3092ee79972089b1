// Orthanc Explorer: where a study is at Glioloop, and what a person can ask; `desk.py` answers.
(function () {
  const AGAIN_MS = 2000;
  const BUSY = ['sending', 'waiting', 'segmenting'];
  let texts = {};

  function say(name, values) {
    const text = texts[name] || '';
    return text.replace(/\{(\w+)\}/g, function (whole, key) { return values[key]; });
  }

  /** Buttons get their words when a page is shown: those of Glioloop, in its language. */
  function name(button, text) {
    const inner = button.find('.ui-btn-text');
    (inner.length ? inner : button).text(text);
  }

  function button(id, icon) {
    return $('<a>').attr({ 'data-role': 'button', href: '#', 'data-icon': icon, 'data-theme': 'e', id: id }).text('Glioloop');
  }

  function post(address, done, failed) {
    $.ajax({
      url: address, type: 'POST', contentType: 'application/json', data: '{}', dataType: 'json',
      success: done,
      error: function (answer) { failed(reason(answer)); },
    });
  }

  /** Why it was refused, in Glioloop's words. */
  function reason(answer) {
    try {
      return JSON.parse(answer.responseText).error;
    } catch (error) {
      return say('no_answer', { status: answer.status });
    }
  }

  function show(text) {
    $('#glioloop-state').text(text);
  }

  function state(found) {
    let phase = say('phase ' + found.phase, {});
    if (found.phase === 'segmenting') phase += ' ' + Math.round(100 * found.progress) + ' %';
    if (found.reason) phase += ': ' + found.reason;
    show(say('state_of_glioloop', { phase: phase }));
    $('#glioloop-segment').toggleClass('ui-disabled', BUSY.indexOf(found.phase) >= 0);
  }

  function look(study) {
    if (!$.mobile.activePage || $.mobile.activePage.attr('id') !== 'study') return;
    if (!$.mobile.pageData || $.mobile.pageData.uuid !== study) return;
    $.ajax({ url: '../glioloop/state/' + study, dataType: 'json', cache: false })
      .done(state)
      .fail(function (answer) { show(reason(answer)); })
      .always(function () { setTimeout(function () { look(study); }, AGAIN_MS); });
  }

  $('#study').live('pagebeforecreate', function () {
    const before = $('#study-delete').parent().parent();
    const line = $('<li>').attr({ id: 'glioloop-state', role: 'status' });
    const segment = button('glioloop-segment', 'gear').click(function () {
      if ($(this).hasClass('ui-disabled')) return false; // the class alone stops the mouse, not a key
      post('../glioloop/segment/' + $.mobile.pageData.uuid, function () { show(say('asked', {})); }, show);
      return false;
    });
    const desk = button('glioloop-desk', 'info').click(function () {
      $.getJSON('../studies/' + $.mobile.pageData.uuid, function (study) {
        window.location.assign('../glioloop/desk/index.html#/studies/' + study.MainDicomTags.StudyInstanceUID);
      });
      return false;
    });
    line.insertBefore(before);
    segment.insertBefore(before);
    desk.insertBefore(before);
  });

  $('#series').live('pagebeforecreate', function () {
    button('glioloop-teach', 'star').hide().click(function () {
      if (!window.confirm(say('teach_what', {}))) return false;
      post('../glioloop/teach/' + $.mobile.pageData.uuid, function (answer) {
        name($('#glioloop-teach'), say(answer.segs ? 'taught' : 'nothing_to_teach', {}));
      }, function (text) { name($('#glioloop-teach'), text); });
      return false;
    }).insertBefore($('#series-delete').parent().parent());
  });

  $('#lookup').live('pagebeforecreate', function () {
    button('glioloop-all', 'info').attr('rel', 'external').attr('href', '../glioloop/desk/index.html').insertAfter($('#lookup-result'));
  });

  function shown() {
    name($('#glioloop-segment'), say('segment', {}));
    name($('#glioloop-desk'), say('open_desk', {}));
    name($('#glioloop-teach'), say('teach', {}));
    const page = $.mobile.activePage && $.mobile.activePage.attr('id');
    const uuid = $.mobile.pageData && $.mobile.pageData.uuid;
    if (page === 'study') look(uuid);
    if (page === 'series') {
      $.getJSON('../series/' + uuid, function (series) {
        $('#glioloop-teach').toggle(series.MainDicomTags.Modality === 'SEG');
      });
    }
  }

  $('#study, #series').live('pageshow', function () {
    $.getJSON('../glioloop/desk/texts.json')
      .done(function (found) { texts = found; shown(); })
      .fail(function (answer) { show(reason(answer)); });
  });
})();
