// Orthanc Explorer: a button on a study's page that opens the study in OHIF; `viewer.py` hands it over.
$('#study').live('pagebeforecreate', function () {
  const button = $('<a>')
    .attr({ 'data-role': 'button', href: '#', 'data-icon': 'search', 'data-theme': 'e' })
    .text('Correct in OHIF');
  button.click(function () {
    $.getJSON('../studies/' + $.mobile.pageData.uuid, function (study) {
      const uid = encodeURIComponent(study.MainDicomTags.StudyInstanceUID);
      window.location.assign('../ohif/segmentation?StudyInstanceUIDs=' + uid);
    });
    return false;
  });
  button.insertBefore($('#study-delete').parent().parent());
});
