// Writes SEGs with the libraries that OHIF saves with. One argument: a JSON file, a list of
// {sources, layer, segments, predecessor, sopClassUID, transferSyntaxUID, out}.
import fs from 'node:fs';
import dcmjs from 'dcmjs';
import * as core from '@cornerstonejs/core';
import { adaptersSEG } from '@cornerstonejs/adapters';

const { DicomMessage, DicomMetaDictionary, datasetToDict } = dcmjs.data;
const Modules = core.Enums.MetadataModules;

const STUDY = ['StudyInstanceUID', 'StudyDate', 'StudyTime', 'StudyID', 'AccessionNumber',
  'ReferringPhysicianName', 'PatientName', 'PatientID', 'PatientBirthDate', 'PatientSex', 'PatientAge'];
const SERIES = ['SeriesInstanceUID', 'SeriesNumber', 'SeriesDescription', 'Modality', 'SeriesDate',
  'SeriesTime', 'FrameOfReferenceUID', 'PositionReferenceIndicator'];
const IMAGE = ['SOPClassUID', 'SOPInstanceUID', 'InstanceNumber', 'ImageType', 'Rows', 'Columns',
  'PixelSpacing', 'SliceThickness', 'SpacingBetweenSlices', 'ImagePositionPatient',
  'ImageOrientationPatient', 'BitsAllocated', 'BitsStored', 'HighBit', 'PixelRepresentation',
  'SamplesPerPixel', 'PhotometricInterpretation', 'FrameOfReferenceUID'];

const known = new Map();

function read(path) {
  if (!known.has(path)) known.set(path, parse(path));
  return known.get(path);
}

function parse(path) {
  const bytes = fs.readFileSync(path);
  const file = DicomMessage.readFile(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
  const dataset = DicomMetaDictionary.naturalizeDataset(file.dict);
  dataset._meta = DicomMetaDictionary.namifyDataset(file.meta);
  return dataset;
}

const pick = (dataset, names) =>
  Object.fromEntries(names.filter(name => dataset[name] !== undefined).map(name => [name, dataset[name]]));

function plane(dataset) {
  const [rowSpacing, columnSpacing] = dataset.PixelSpacing.map(Number);
  return {
    imagePositionPatient: dataset.ImagePositionPatient.map(Number),
    imageOrientationPatient: dataset.ImageOrientationPatient.map(Number),
    pixelSpacing: [rowSpacing, columnSpacing],
    rowPixelSpacing: rowSpacing,
    columnPixelSpacing: columnSpacing,
    sliceThickness: Number(dataset.SliceThickness),
    frameOfReferenceUID: dataset.FrameOfReferenceUID,
    rows: dataset.Rows,
    columns: dataset.Columns,
  };
}

// As OHIF tells the library of the SEG that was loaded and is saved again.
function predecessor(dataset) {
  return {
    SeriesInstanceUID: dataset.SeriesInstanceUID,
    SeriesNumber: dataset.SeriesNumber,
    SeriesDescription: dataset.SeriesDescription,
    Modality: 'SEG',
    InstanceNumber: 1 + Number(dataset.InstanceNumber || 0),
    PredecessorDocumentsSequence: {
      StudyInstanceUID: dataset.StudyInstanceUID,
      ReferencedSeriesSequence: {
        SeriesInstanceUID: dataset.SeriesInstanceUID,
        ReferencedSOPSequence: {
          ReferencedSOPClassUID: dataset.SOPClassUID,
          ReferencedSOPInstanceUID: dataset.SOPInstanceUID,
        },
      },
    },
  };
}

function metadataOf(datasets) {
  return {
    get(type, id) {
      const dataset = datasets.get(id);
      if (!dataset) return undefined;
      switch (type) {
        case Modules.STUDY_DATA: return pick(dataset, STUDY);
        case Modules.SERIES_DATA: return pick(dataset, SERIES);
        case Modules.IMAGE_DATA: return pick(dataset, IMAGE);
        case Modules.IMAGE_PLANE: return plane(dataset);
        case Modules.PREDECESSOR_SEQUENCE: return predecessor(dataset);
        case 'instance': return dataset;
        default: return undefined;
      }
    },
  };
}

// What OHIF keeps of a segment: name, colour, and Tissue for every code.
function describe({ number, label, rgb }) {
  const tissue = { CodeValue: 'T-D0050', CodingSchemeDesignator: 'SRT', CodeMeaning: 'Tissue' };
  return {
    SegmentNumber: String(number),
    SegmentLabel: label,
    SegmentAlgorithmType: 'MANUAL',
    SegmentAlgorithmName: 'OHIF Brush',
    RecommendedDisplayCIELabValue: dcmjs.data.Colors.rgb2DICOMLAB(rgb.map(c => c / 255)).map(Math.round),
    SegmentedPropertyCategoryCodeSequence: tissue,
    SegmentedPropertyTypeCodeSequence: tissue,
  };
}

function labelmapOf(job, rows, columns) {
  const layer = new Uint8Array(fs.readFileSync(job.layer));
  const shownIn = pixels => [...new Set(pixels)].filter(Boolean);
  const labelmaps2D = job.sources.map((_, k) => {
    const pixelData = layer.slice(k * rows * columns, (k + 1) * rows * columns);
    return { segmentsOnLabelmap: shownIn(pixelData), pixelData, rows, columns };
  });
  const metadata = [];
  for (const segment of job.segments) metadata[segment.number] = describe(segment);
  return { segmentsOnLabelmap: shownIn(layer), metadata, labelmaps2D };
}

function write(job) {
  const datasets = new Map(job.sources.map((path, k) => [`image:${k}`, read(path)]));
  datasets.set('predecessor', read(job.predecessor));
  const { Rows: rows, Columns: columns } = datasets.get('image:0');
  const images = job.sources.map((_, k) => ({
    imageId: `image:${k}`, rows, columns,
    voxelManager: { getScalarData: () => new Uint16Array(rows * columns) },
  }));
  const seg = adaptersSEG.Cornerstone3D.Segmentation.generateSegmentation(
    images, labelmapOf(job, rows, columns), metadataOf(datasets), {
      sopClassUID: job.sopClassUID,
      transferSyntaxUID: job.transferSyntaxUID,
      predecessorImageId: 'predecessor',
    });
  fs.writeFileSync(job.out, Buffer.from(datasetToDict(seg.dataset).write()));
}

JSON.parse(fs.readFileSync(process.argv[2], 'utf8')).forEach(write);
process.exit(0);
